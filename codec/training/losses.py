"""Reconstruction and adversarial losses of the paper (arXiv 2210.13438, section 3.4), and two by mel band.

Every function returns a scalar, the mean over batch and channels. Audio is `[B, C, T]`.
"""

import warnings
from collections.abc import Sequence

import torch
import torch.distributed as dist
import torchaudio.functional
from torch import Tensor, nn

EPSILON = 1e-12  # of a power, under a root whose gradient would be infinite at 0
SILENCE = 1e-4  # of a sample's power: a clip quieter than that counts as that loud
LEAST_BANDS, SAMPLES_A_BAND = 24, 24  # mel bands of a window
_NOISE_FLOOR = 1e-9  # of a band's power

FeatureMaps = Sequence[Sequence[Tensor]]  # of each discriminator, of each of its layers


def time_loss(reference: Tensor, estimate: Tensor) -> Tensor:
    """Mean absolute difference of the waveforms."""
    return (reference - estimate).abs().mean()


def commitment_loss(latents: Tensor, quantized: Tensor) -> Tensor:
    """How far the encoder's latents `[B, D, F]` are from their codewords. No gradient reaches the codewords."""
    return (latents - quantized.detach()).pow(2).mean()


class MelLoss(nn.Module):
    """L1 plus L2 distance of mel spectrograms, averaged over windows of 32 to 2048 samples, hop a quarter of each.

    The STFTs are normalised by the energy of their window. The L1 term is a mean over all bands and frames, the L2 term
    the root mean square over bands of each frame, so that both are in the units of the spectrogram.

    Shape: reference and estimate `[B, C, T]` with T of at least the longest window.
    """

    def __init__(self, sample_rate: int, mels: int = 64, exponents: Sequence[int] = (5, 6, 7, 8, 9, 10, 11)) -> None:
        super().__init__()
        self.exponents = tuple(exponents)
        for exponent in self.exponents:
            window = torch.hann_window(2**exponent)
            self.register_buffer(f"window_{exponent}", window / window.pow(2).sum().sqrt(), persistent=False)
            self.register_buffer(f"bank_{exponent}", mel_bank(2**exponent, mels, sample_rate), persistent=False)

    def forward(self, reference: Tensor, estimate: Tensor) -> Tensor:
        total = reference.new_zeros(())
        for exponent in self.exponents:
            window, bank = getattr(self, f"window_{exponent}"), getattr(self, f"bank_{exponent}")
            difference = (spectrum(reference, window).abs() - spectrum(estimate, window).abs()) @ bank
            # The floor keeps the gradient of the root finite where a frame is reproduced exactly.
            total = total + difference.abs().mean() + (difference.pow(2).mean(dim=-1) + EPSILON).sqrt().mean()
        return total / len(self.exponents)


class _BandLoss(nn.Module):
    """Windows of several lengths, each with mel filters that sum to 1; short windows leave the lowest empty."""

    def __init__(self, sample_rate: int, windows: Sequence[int], floor: float) -> None:
        super().__init__()
        self.windows = tuple(windows)
        self.floor = floor
        for size in self.windows:
            bank = mel_bank(size, max(LEAST_BANDS, size // SAMPLES_A_BAND), sample_rate)
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)
            self.register_buffer(f"bank_{size}", bank / bank.sum(dim=0).clamp(min=1e-8), persistent=False)


class BandNoiseLoss(_BandLoss):
    """Noise-to-signal amplitude ratio per mel band and frame, with the bands below `corner_hz` weighing most.

    A band `floor` times quieter (in power) than the clip's mean counts as that loud: without a floor, silent bands
    dominate the gradient. Averaged over the window lengths.

    Shape: reference and estimate `[B, C, T]` with T of at least the longest window.
    """

    def __init__(
        self,
        sample_rate: int,
        windows: Sequence[int] = (256, 512, 1024, 2048),
        corner_hz: float = 4000.0,
        floor: float = 3e-3,
    ) -> None:
        super().__init__(sample_rate, windows, floor)
        for size in self.windows:
            bank = getattr(self, f"bank_{size}")
            centres = torch.linspace(0, sample_rate / 2, size // 2 + 1) @ bank
            weight = (bank.sum(dim=0) > 0) / (1 + (centres / corner_hz) ** 4)
            self.register_buffer(f"weight_{size}", weight / weight.sum(), persistent=False)

    def forward(self, reference: Tensor, estimate: Tensor) -> Tensor:
        total = reference.new_zeros(())
        for size in self.windows:
            window, bank, weight = (getattr(self, f"{name}_{size}") for name in ("window", "bank", "weight"))
            wanted = spectrum(reference, window)
            signal = power(wanted) @ bank
            noise = power(wanted - spectrum(estimate, window)) @ bank
            level = signal.mean(dim=(-2, -1), keepdim=True) + SILENCE * size
            total = total + (((noise + _NOISE_FLOOR) / (signal + self.floor * level)).sqrt() @ weight).mean()
        return total / len(self.windows)


class LogMelLoss(_BandLoss):
    """Mean absolute difference of the logarithms of mel band powers (in nepers), averaged over the window lengths.

    A band `floor` times quieter (in power) than the clip's mean counts as that loud, so that silence is not matched
    to the last decibel.

    Shape: reference and estimate `[B, C, T]` with T of at least the longest window.
    """

    def __init__(self, sample_rate: int, windows: Sequence[int] = (512, 1024, 2048), floor: float = 1e-3) -> None:
        super().__init__(sample_rate, windows, floor)

    def forward(self, reference: Tensor, estimate: Tensor) -> Tensor:
        total = reference.new_zeros(())
        for size in self.windows:
            window, bank = getattr(self, f"window_{size}"), getattr(self, f"bank_{size}")
            wanted, actual = (power(spectrum(wav, window)) @ bank for wav in (reference, estimate))
            least = self.floor * (wanted.mean(dim=(-2, -1), keepdim=True) + SILENCE * size)
            total = total + ((wanted + least) / (actual + least)).log().abs().mean()
        return total / len(self.windows)


class LongTermSpectrumLoss(nn.Module):
    """Mean squared difference of the logarithms of long-term power spectra, bin by bin (in nepers of power).

    The other losses see bands or short windows. A decoder that repeats itself at the frame rate, which sounds as a
    buzz, has lines that are lost in mel bands; bins over a second of audio show them. Each critical band weighs the
    same. A bin `floor` times quieter than the clip's mean counts as that loud; bins below `lowest_hz` do not count.

    Shape: reference and estimate `[B, C, T]` with T of at least the window.
    """

    window: Tensor
    weight: Tensor

    def __init__(self, sample_rate: int, window: int = 4096, floor: float = 1e-5, lowest_hz: float = 60.0) -> None:
        super().__init__()
        self.floor = floor
        hz = torch.linspace(0, sample_rate / 2, window // 2 + 1)
        weight = (hz >= lowest_hz) / (1 + (hz / 600) ** 2).sqrt()  # Bark per Hz
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        self.register_buffer("weight", weight / weight.sum(), persistent=False)

    def forward(self, reference: Tensor, estimate: Tensor) -> Tensor:
        wanted, actual = (power(spectrum(wav, self.window)).mean(dim=-2) for wav in (reference, estimate))
        least = self.floor * (wanted.mean(dim=-1, keepdim=True) + SILENCE * len(self.window))
        return (((actual + least) / (wanted + least)).log().pow(2) @ self.weight).mean()


def adversarial_loss(logits: Sequence[Tensor]) -> Tensor:
    """The generator's hinge loss: `max(0, 1 - D(estimate))`, averaged over the discriminators."""
    return torch.stack([(1 - each).relu().mean() for each in logits]).mean()


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """The discriminators' hinge loss: `max(0, 1 - D(reference)) + max(0, 1 + D(estimate))`, averaged over them."""
    return torch.stack([(1 - r).relu().mean() + (1 + f).relu().mean() for r, f in zip(real, fake, strict=True)]).mean()


def feature_matching_loss(real: FeatureMaps, fake: FeatureMaps) -> Tensor:
    """Mean absolute difference of the discriminators' activations, relative to the mean size of the reference's.

    In a distributed run that mean is over the batches of all processes.
    """
    pairs = [(r.detach(), f) for each in zip(real, fake, strict=True) for r, f in zip(*each, strict=True)]
    differences = torch.stack([(r - f).abs().mean() for r, f in pairs])
    sizes = torch.stack([r.abs().mean() for r, _ in pairs])
    if dist.is_initialized():
        dist.all_reduce(sizes)
        sizes = sizes / dist.get_world_size()
    return (differences / (sizes + 1e-8)).mean()


def mel_bank(window: int, mels: int, sample_rate: int) -> Tensor:
    """Triangular mel filters `[window / 2 + 1, mels]` with peaks of 1; short windows leave the lowest ones empty."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "At least one mel filterbank has all zero values")
        return torchaudio.functional.melscale_fbanks(window // 2 + 1, 0.0, sample_rate / 2, mels, sample_rate)


def spectrum(wav: Tensor, window: Tensor) -> Tensor:
    """Complex STFT `[B, C, frames, bins]` of `[B, C, T]`, hop a quarter of the window, silence beyond both ends."""
    batch, channels, samples = wav.shape
    stft = torch.stft(
        wav.reshape(batch * channels, samples),
        len(window),
        len(window) // 4,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    return stft.transpose(1, 2).reshape(batch, channels, stft.shape[2], stft.shape[1])


def power(spectrum: Tensor) -> Tensor:
    """Squared magnitude, whose gradient is finite at 0."""
    return spectrum.real.pow(2) + spectrum.imag.pow(2)
