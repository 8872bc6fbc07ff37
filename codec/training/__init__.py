"""Training of EnCodec models: data, losses, discriminator, loss balancer, quantiser training and the trainer."""
