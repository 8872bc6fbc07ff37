"""Residual vector quantiser: latents to codes by successive nearest neighbours, and back by summing codewords."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.config import EncodecConfig


class Codebook(nn.Module):
    """`codebook_size` codewords of dimension D."""

    embed: Tensor

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.register_buffer("embed", torch.randn(config.codebook_size, config.hidden_size))

    def search(self, x: Tensor) -> Tensor:
        """Index of the nearest codeword for each row of `x [M, D]`: int64 `[M]`."""
        return nearest(x, self.embed)


def nearest(x: Tensor, codewords: Tensor) -> Tensor:
    """Index of the nearest of `codewords [S, D]` for each row of `x [M, D]`: int64 `[M]`."""
    # |x - e|^2 = |x|^2 - 2 (x.e - |e|^2 / 2): the row's own norm does not change its ranking.
    half_norms = 0.5 * codewords.pow(2).sum(dim=1)
    return torch.addmm(half_norms.expand(len(x), -1), x, codewords.T, beta=-1).argmax(dim=1)


class _QuantizerLayer(nn.Module):
    """Gives a codebook the name it has in checkpoints."""

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.codebook = Codebook(config)


class ResidualVectorQuantizer(nn.Module):
    """K codebooks, each quantising what the ones before it left over: the first k give the coarser code of rate k."""

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_QuantizerLayer(config) for _ in range(config.num_quantizers))

    @property
    def codebooks(self) -> list[Codebook]:
        return [layer.codebook for layer in self.layers]  # type: ignore[misc]

    def encode(self, latents: Tensor, codebooks: int | None = None) -> Tensor:
        """Quantise latents `[B, D, F]` with the first `codebooks` codebooks (default all): codes `[K, B, F]`, int64."""
        batch, dimension, frames = latents.shape
        residual = latents.transpose(1, 2).reshape(-1, dimension)
        codes = []
        for codebook in self.codebooks[:codebooks]:
            indices = codebook.search(residual)
            residual = residual - F.embedding(indices, codebook.embed)
            codes.append(indices.view(batch, frames))
        return torch.stack(codes)

    def decode(self, codes: Tensor) -> Tensor:
        """Latents `[B, D, F]` of codes `[K, B, F]`: the sum of their codewords."""
        latents = F.embedding(codes[0], self.codebooks[0].embed)
        for indices, codebook in zip(codes[1:], self.codebooks[1:], strict=False):
            latents = latents + F.embedding(indices, codebook.embed)
        return latents.transpose(1, 2)

    def check(self, codes: Tensor) -> None:
        """Raises `ValueError` for codes `[K, ...]` of more codebooks than there are, or outside their codebook.

        Values are looked at on the CPU only: on another device that would wait for all work queued there, and the
        lookup itself refuses them.
        """
        if not 1 <= len(codes) <= len(self.layers):
            raise ValueError(f"codes of {len(codes)} codebooks given; this model has 1 to {len(self.layers)}")
        size = len(self.codebooks[0].embed)
        if torch.compiler.is_compiling() or codes.device.type != "cpu" or not codes.numel():
            return
        if not 0 <= int(codes.min()) <= int(codes.max()) < size:
            raise ValueError(f"codes from {int(codes.min())} to {int(codes.max())} given; expected 0 to {size - 1}")
