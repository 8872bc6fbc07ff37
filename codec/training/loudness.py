"""A loss in loudness: what PESQ (ITU-T P.862) computes from two aligned signals, as far as it can be learned from."""

import torch
from torch import Tensor, nn

from codec.training.losses import EPSILON, SILENCE, power, spectrum

FRAME_S = 0.032
BANDS, LOWEST_HZ, TOP_HZ = 49, 60.0, 8000.0
NARROWEST = 0.45  # half a band's width in Bark at least, or low bands would fall between the bins
LEVEL_DB = 79.0  # at which P.862 has speech listened to
ADDED = 0.309  # P.862's weight of the asymmetric disturbance, relative to the symmetric one
STRETCH, STEP = 40, 20  # frames, 8 ms apart: 320 ms, half over the next
LOUDNESS_EXPONENT = 0.23  # of Zwicker's law
MASKED = 0.25  # a difference of this part of the softer of the two is not heard
FULLY_ADDED, NOT_ADDED, ADDED_FLOOR = 12.0, 3.0, 50.0
MOST = 45.0  # disturbance of a frame


class LoudnessLoss(nn.Module):
    """Disturbance of loudness by critical band, with P.862's masking, asymmetry and weighting of the worst stretches.

    Powers of Bark bands become loudness above the threshold of hearing. What was added to a band, such as noise between
    harmonics, counts again by `ADDED`; what was left out does not. P.862's alignments are left out: level and spectrum
    are to be kept too. The clip's mean level stands for `LEVEL_DB` above the reference sound pressure.

    Shape: reference and estimate `[B, C, T]` with T of at least 32 ms; audio above `TOP_HZ` is not looked at.
    """

    window: Tensor
    bank: Tensor
    threshold: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        window = torch.hann_window(round(FRAME_S * sample_rate))
        hz = torch.linspace(0, sample_rate / 2, len(window) // 2 + 1)
        width = float(_bark(torch.tensor(TOP_HZ))) / BANDS
        centres = (torch.arange(BANDS) + 0.5) * width
        bank = (1 - (_bark(hz)[:, None] - centres).abs() / max(width, NARROWEST)).clamp(min=0) * (
            hz[:, None] > LOWEST_HZ
        )
        bank = bank[:, bank.sum(dim=0) > 0]  # the lowest bands of a short window hold no bin
        threshold = 10 ** (_threshold_db(hz) / 10)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("threshold", (bank * threshold[:, None]).sum(dim=0) / bank.sum(dim=0), persistent=False)

    def forward(self, reference: Tensor, estimate: Tensor) -> Tensor:
        wanted, actual = (power(spectrum(wav, self.window)) @ self.bank for wav in (reference, estimate))
        mean = wanted.sum(dim=-1, keepdim=True).mean(dim=-2, keepdim=True) + SILENCE * len(self.window)
        wanted, actual = (band * (10 ** (LEVEL_DB / 10) / mean) for band in (wanted, actual))
        louds = self._loudness(wanted), self._loudness(actual)
        disturbance = ((louds[1] - louds[0]).abs() - MASKED * torch.minimum(*louds)).clamp(min=0)
        ratio = ((actual + ADDED_FLOOR) / (wanted + ADDED_FLOOR)).pow(1.2).detach()
        asymmetry = torch.where(ratio < NOT_ADDED, 0.0, ratio.clamp(max=FULLY_ADDED))
        loud = ((wanted.sum(dim=-1) + 1e5) / 1e7) ** 0.04  # a loud frame disturbs less
        symmetric = (disturbance.pow(2).mean(dim=-1) + EPSILON).sqrt() / loud
        asymmetric = (disturbance * asymmetry).mean(dim=-1) / loud
        return _worst(symmetric.clamp(max=MOST)) + ADDED * _worst(asymmetric.clamp(max=MOST))

    def _loudness(self, band: Tensor) -> Tensor:
        above = (band / self.threshold).clamp(min=1)
        return self.threshold.pow(LOUDNESS_EXPONENT) * ((0.5 + 0.5 * above).pow(LOUDNESS_EXPONENT) - 1)


def _worst(frames: Tensor) -> Tensor:
    """Mean of `[B, C, frames]` in which loud moments count most: 6th power within stretches, 2nd over them."""
    stretches = frames.unfold(-1, min(STRETCH, frames.shape[-1]), STEP)
    return (stretches.pow(6).mean(dim=-1) + EPSILON).pow(1 / 3).mean(dim=-1).sqrt().mean()


def _bark(hz: Tensor) -> Tensor:
    return 6 * torch.asinh(hz / 600)


def _threshold_db(hz: Tensor) -> Tensor:
    """Threshold of hearing in quiet, dB SPL (Terhardt 1979)."""
    khz = hz.clamp(min=20) / 1000
    return 3.64 * khz**-0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
