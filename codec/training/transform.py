"""A block transform with companded levels: what a small encoder is taught to compute before it is trained on audio.

Blocks of one hop are turned into coefficients by a principal component analysis, stage by stage, so that a stack of
strided convolutions can carry it. Coefficients are grouped by frequency into bands; each band is divided by a power of
its level, and the logarithms of the levels become latents of their own. A vector quantiser of such latents spends its
codewords on loud and quiet frames alike, and its noise follows the signal's level in every band.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BAND_EDGES = (0.029, 0.067, 0.125)  # fractions of the sample rate: 700, 1600 and 3000 Hz at 24 kHz
EXPONENT = 0.5  # of the level that is divided out
LEVEL_WEIGHT = 0.25  # of a level in nepers as a latent
WHITENING = 0.4  # 0 keeps the variances of coefficients, 1 makes them equal
LEVEL_FLOOR = 2e-6  # of a band's power
_KEPT = (4, 5)  # of a layer's channels, which a stage keeps at most
_LEAST_DEVIATION = 0.03  # of a coefficient, relative to the largest: bounds what whitening raises the least by
_SPECTRUM = 4096  # points of the spectra that tell a coefficient's frequency
_MEMORY = 0.4  # share of the frame before in a level: smooths it without looking ahead


@dataclass(frozen=True)
class Stage:
    """One strided convolution's part: `basis [kept, n, ratio]` with orthonormal rows, deviations of what it keeps."""

    basis: Tensor
    deviations: Tensor


@dataclass(frozen=True)
class BlockTransform:
    """`stages` from the first, fine one to the last; `basis [K', C, hop]` is their product.

    bands: indices of the coefficients of each band. mean_levels: of the bands, in nepers. gain: of the coefficients.
    """

    stages: list[Stage]
    basis: Tensor
    weights: Tensor
    bands: list[Tensor]
    mean_levels: Tensor
    gain: float

    def latents(self, wav: Tensor) -> Tensor:
        """Companded coefficients, then levels: `[B, K' + bands, F]` of `[B, C, T]` with T a multiple of the hop."""
        coefficients, levels = self._analyse(wav)
        companded = torch.empty_like(coefficients)
        for band, level in zip(self.bands, levels.unbind(1), strict=True):
            companded[:, band] = coefficients[:, band] * torch.exp(-EXPONENT * level).unsqueeze(1)
        return torch.cat([companded * self.gain, LEVEL_WEIGHT * levels], dim=1)

    def audio(self, latents: Tensor) -> Tensor:
        """The inverse of `latents`, but for what the basis leaves out."""
        kept = len(self.basis)
        coefficients = latents[:, :kept] / self.gain
        for index, band in enumerate(self.bands):
            level = latents[:, kept + index] / LEVEL_WEIGHT
            coefficients[:, band] = coefficients[:, band] * torch.exp(EXPONENT * level).unsqueeze(1)
        blocks = torch.einsum("bkf,kct->bcft", coefficients / self.weights.unsqueeze(1), self.basis)
        return blocks.flatten(2)

    def _analyse(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted coefficients `[B, K', F]`, and levels above the mean in nepers `[B, bands, F]`."""
        batch, channels, _ = wav.shape
        blocks = wav.reshape(batch, channels, -1, self.basis.shape[2])
        coefficients = torch.einsum("bcft,kct->bkf", blocks, self.basis) * self.weights.unsqueeze(1)
        powers = torch.stack([coefficients[:, band].pow(2).mean(dim=1) for band in self.bands], dim=1)
        smooth = torch.cat([powers[..., :1], (1 - _MEMORY) * powers[..., 1:] + _MEMORY * powers[..., :-1]], dim=-1)
        return coefficients, 0.5 * (smooth + LEVEL_FLOOR).log() - self.mean_levels.unsqueeze(1)


def fit(wav: Tensor, ratios: Sequence[int], channels: Sequence[int]) -> BlockTransform:
    """Fit a transform to audio `[B, C, T]`, T a multiple of the hop, with stages that downsample by `ratios`.

    `channels` are those of the layers between; each stage keeps at most 4/5 of its own (`_KEPT`) for the transform.
    """
    audio_channels = wav.shape[1]
    signal = wav.transpose(0, 1).reshape(audio_channels, -1)
    basis = torch.eye(audio_channels).unsqueeze(2)
    stages = []
    for ratio, width in zip(ratios, channels, strict=True):
        stage, signal = _pca(signal, ratio, width * _KEPT[0] // _KEPT[1])
        stages.append(stage)
        basis = torch.einsum("knr,nct->kcrt", stage.basis, basis).flatten(2)
    deviations = stages[-1].deviations
    weights = deviations.clamp(min=_LEAST_DEVIATION * float(deviations.max())) ** -WHITENING
    weights = weights / float((weights * deviations).mean())
    spectra = torch.fft.rfft(basis, n=_SPECTRUM).abs().pow(2).sum(dim=1)
    centres = (spectra @ torch.linspace(0, 0.5, _SPECTRUM // 2 + 1)) / spectra.sum(dim=1)
    edges = torch.bucketize(centres, torch.tensor(BAND_EDGES))
    bands = [index for band in range(len(BAND_EDGES) + 1) if len(index := torch.nonzero(edges == band)[:, 0])]
    plain = BlockTransform(stages, basis, weights, bands, torch.zeros(len(bands)), 1.0)
    mean_levels = plain._analyse(wav)[1].mean(dim=(0, 2))
    levelled = BlockTransform(stages, basis, weights, bands, mean_levels, 1.0)
    power = float(levelled.latents(wav)[:, : len(basis)].pow(2).sum(dim=1).mean())
    return BlockTransform(stages, basis, weights, bands, mean_levels, power**-0.5)


def _pca(signal: Tensor, ratio: int, keep: int) -> tuple[Stage, Tensor]:
    """Principal components of blocks of `ratio` steps of `signal [n, M]`: the stage, and its output."""
    rows = signal.shape[0]
    blocks = signal.reshape(rows, -1, ratio).transpose(1, 2).reshape(rows * ratio, -1)
    _, vectors = torch.linalg.eigh((blocks @ blocks.T).double())
    components = vectors.flip(1)[:, : min(keep, rows * ratio)].T.float()
    output = components @ blocks
    deviations = output.pow(2).mean(dim=1).sqrt()
    return Stage(components.reshape(-1, rows, ratio), deviations), output
