"""EnCodec inference."""
