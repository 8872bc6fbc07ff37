"""A loss in loudness: what PESQ (ITU-T P.862 and P.862.2) computes from two aligned signals."""

import torch
from torch import Tensor, nn

from codec.training.losses import EPSILON, SILENCE, power, spectrum

FRAME_S = 0.032  # which puts bins 31.25 Hz apart
# Of each band of P.862's table, up to 8 kHz: bins, and the threshold of hearing in dB.
BINS = (1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 3, 4, 5, 4, 5, 6, 6,
        7, 8, 9, 9, 12, 12, 15, 16, 18, 21, 25, 20)  # fmt: skip
THRESHOLD_DB = (77.1, 63.9, 48.5, 36.9, 30.7, 25.9, 20.2, 16.6, 12.5, 9.9, 6.9, 4.9, 2.8, 1.0, -0.1, -1.4, -2.5, -3.4,
                -4.1, -4.8, -5.3, -5.7, -5.9, -6.0, -6.0, -6.0, -6.0, -5.8, -5.4, -5.1, -4.7, -4.3, -4.0, -3.6, -3.3,
                -3.1, -3.0, -3.0, -2.9, -2.8, -2.8, -2.8, -2.9, -3.2, -3.7, -4.3, -4.4, -3.8, -2.7)  # fmt: skip
NARROWEST_BARK, WIDEST_BARK = 0.312, 0.585  # bands; about linear between them
CORNER_HZ = 100.0  # of the high-pass filter of second order that P.862.2 hears through
LEVEL_DB = 95.0  # at which P.862 has speech listened to, above the unit of the thresholds
SPEECH, WELL_HEARD = 1e7, 100.0  # power of a frame that is not silent; of a band, above its threshold
FILTER_FLOOR, FILTERS = 1e3, (0.01, 100.0)  # power added to bands, and what is then made up for
GAIN_FLOOR, GAINS, GAIN_MEMORY = 5e3, (3e-4, 5.0), 0.2  # of frames; the memory is of 16 ms before
STRETCH, STEP = 40, 20  # frames, 8 ms apart: 320 ms, half over the next
LOUDNESS_SCALE, LOUDNESS_EXPONENT = 0.187, 0.23  # of Zwicker's law
MASKED = 0.25  # a difference of this part of the softer of the two is not heard
FULLY_ADDED, NOT_ADDED, ADDED_FLOOR = 12.0, 3.0, 50.0
MOST = 45.0  # disturbance of a frame
SYMMETRIC, ASYMMETRIC = 0.1, 0.0309  # points of the raw score


class LoudnessLoss(nn.Module):
    """Points by which PESQ's raw score, 4.5 at best, is lowered by differences in loudness of critical bands.

    Powers of critical bands become loudness above the threshold of hearing. Differences are masked by what is there;
    what was added to a band, such as noise between harmonics, counts again, what was left out does not; the worst
    stretches count most. A steady filter and a slow gain of a few dB hardly count, as in P.862: other losses must keep
    level and spectrum. P.862's alignment of level and delay is left out.

    Shape: reference and estimate `[B, C, T]` with T of at least 32 ms; audio above 8 kHz is not looked at.
    """

    window: Tensor
    bank: Tensor
    width: Tensor
    threshold: Tensor
    exponent: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        window = torch.hann_window(round(FRAME_S * sample_rate))
        hz = torch.linspace(0, sample_rate / 2, len(window) // 2 + 1)
        band = torch.repeat_interleave(torch.arange(len(BINS)), torch.tensor(BINS))[: len(hz)]
        bank = torch.zeros(len(hz), int(band.max()) + 1)
        bank[torch.arange(len(band)), band] = 1 / (1 + (CORNER_HZ / hz[: len(band)]) ** 4)
        width = torch.linspace(NARROWEST_BARK, WIDEST_BARK, len(BINS))[: bank.shape[1]]
        exponent = LOUDNESS_EXPONENT * (6 / (width.cumsum(0) - width / 2 + 2)).clamp(1, 2) ** 0.15
        threshold = 10 ** (torch.tensor(THRESHOLD_DB[: bank.shape[1]]) / 10)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("threshold", threshold, persistent=False)
        self.register_buffer("width", width, persistent=False)
        self.register_buffer("exponent", exponent, persistent=False)

    def forward(self, reference: Tensor, estimate: Tensor) -> Tensor:
        wanted, actual = (power(spectrum(wav, self.window)) @ self.bank for wav in (reference, estimate))
        mean = wanted.sum(dim=-1, keepdim=True).mean(dim=-2, keepdim=True) + SILENCE * len(self.window)
        wanted, actual = (band * (10 ** (LEVEL_DB / 10) / mean) for band in (wanted, actual))
        wanted = wanted * self._filter(wanted, actual)
        actual = actual * self._gain(wanted, actual)
        louds = self._loudness(wanted), self._loudness(actual)
        disturbance = ((louds[1] - louds[0]).abs() - MASKED * torch.minimum(*louds)).clamp(min=0)
        ratio = ((actual + ADDED_FLOOR) / (wanted + ADDED_FLOOR)) ** 1.2
        asymmetry = torch.where(ratio < NOT_ADDED, 0.0, ratio.clamp(max=FULLY_ADDED))
        loud = ((self._heard(wanted).sum(dim=-1) + 1e5) / 1e7) ** 0.04  # a loud frame disturbs less
        symmetric = (self.width.sum() * ((disturbance * self.width).pow(2).sum(dim=-1) + EPSILON)).sqrt() / loud
        asymmetric = (disturbance * asymmetry) @ self.width / loud
        return SYMMETRIC * _worst(symmetric.clamp(max=MOST)) + ASYMMETRIC * _worst(asymmetric.clamp(max=MOST))

    def _filter(self, wanted: Tensor, actual: Tensor) -> Tensor:
        """The power response `[B, C, 1, bands]` from one to the other."""
        speech = self._heard(wanted, WELL_HEARD).sum(dim=-1, keepdim=True) > SPEECH
        means = [(self._heard(band, WELL_HEARD) * speech).mean(dim=-2, keepdim=True) for band in (actual, wanted)]
        return ((means[0] + FILTER_FLOOR) / (means[1] + FILTER_FLOOR)).clamp(*FILTERS)

    def _gain(self, wanted: Tensor, actual: Tensor) -> Tensor:
        """What makes each frame as loud as wanted, smoothed in time: `[B, C, frames, 1]`, of powers."""
        sums = [self._heard(band).sum(dim=-1, keepdim=True) + GAIN_FLOOR for band in (wanted, actual)]
        gain = sums[0] / sums[1]
        before = torch.cat([gain[..., :2, :], gain[..., :-2, :]], dim=-2)
        return torch.lerp(gain, before, GAIN_MEMORY).clamp(*GAINS)

    def _heard(self, band: Tensor, times: float = 1.0) -> Tensor:
        return torch.where(band > times * self.threshold, band, 0.0)

    def _loudness(self, band: Tensor) -> Tensor:
        above = (band / self.threshold).clamp(min=1)
        return LOUDNESS_SCALE * (2 * self.threshold) ** self.exponent * ((0.5 + 0.5 * above) ** self.exponent - 1)


def _worst(frames: Tensor) -> Tensor:
    """Mean of `[B, C, frames]` in which loud moments count most: 6th power within stretches, 2nd over them."""
    stretches = frames.unfold(-1, min(STRETCH, frames.shape[-1]), STEP)
    return (stretches.pow(6).mean(dim=-1) + EPSILON).pow(1 / 3).mean(dim=-1).sqrt().mean()
