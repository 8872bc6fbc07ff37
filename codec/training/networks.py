"""The two networks that train against each other, each with what it needs around it."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from codec.model import EncodecModel
from codec.training import losses
from codec.training.configs import DiscriminatorConfig
from codec.training.discriminator import MultiScaleStftDiscriminator
from codec.training.optimizer import ADAM_BETAS
from codec.training.quantizer import QuantizerTrainer


class Generator(nn.Module):
    """What learns by the losses' gradients: encoder, quantiser with straight-through gradient, decoder."""

    def __init__(self, model: EncodecModel, quantizer: QuantizerTrainer, frozen_encoder: bool) -> None:
        super().__init__()
        self.encoder, self.decoder, self.quantizer = model.encoder, model.decoder, quantizer
        self.frozen_encoder = frozen_encoder
        self.encoder.train().requires_grad_(not frozen_encoder)
        self.decoder.train().requires_grad_(True)

    def forward(self, wav: Tensor, codebooks: int) -> tuple[Tensor, Tensor, Tensor]:
        """Audio of the length of `wav [B, C, T]`, the commitment loss, and codes `[K, B, F]`."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_encoder):
            latents = self.encoder(wav)
        quantized, codes = self.quantizer(latents, codebooks)
        commitment = losses.commitment_loss(latents, quantized)
        return self.decoder(quantized)[..., : wav.shape[-1]], commitment, codes


class Adversary:
    """The discriminator, its optimiser, and the losses that pass between it and the generator."""

    def __init__(self, config: DiscriminatorConfig, channels: int, device: torch.device, seed: int) -> None:
        self.config = config
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = MultiScaleStftDiscriminator(config.filters, channels, config.windows).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.lr, betas=ADAM_BETAS)
        self.parallel = distributed(self.network)

    def generator_losses(self, wav: Tensor, estimate: Tensor) -> dict[str, Tensor]:
        """Adversarial and feature-matching loss of `estimate [B, C, T]`."""
        logits, fake = self.network(estimate)
        with torch.no_grad():
            _, real = self.network(wav)
        return {
            "adversarial": losses.adversarial_loss(logits),
            "feature_matching": losses.feature_matching_loss(real, fake),
        }

    def learn(self, wav: Tensor, estimate: Tensor) -> Tensor:
        """One step of the discriminator. Returns its loss."""
        # One pass over both: under DistributedDataParallel a module runs once before each backward.
        logits, _ = self.parallel(torch.cat([wav, estimate.detach()]))
        loss = losses.discriminator_loss([x[: len(wav)] for x in logits], [x[len(wav) :] for x in logits])
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def distributed(module: nn.Module) -> nn.Module:
    """The module itself, or wrapped to average its gradients over the processes of a distributed run."""
    return DistributedDataParallel(module) if dist.is_initialized() else module
