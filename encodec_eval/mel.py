"""Mel spectra as librosa makes them, for networks that were trained on those. librosa itself compiles for minutes."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BREAK_HZ = 1000.0  # Slaney's scale (Auditory Toolbox, 1998): linear below, logarithmic above
BREAK_MEL = 15.0
MEL_PER_FACTOR_OF_E = 27 / np.log(6.4)


def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel in Hz."""
    above = BREAK_HZ * np.exp((mel - BREAK_MEL) / MEL_PER_FACTOR_OF_E)
    return np.where(mel < BREAK_MEL, mel * BREAK_HZ / BREAK_MEL, above)


def to_mel(hz: float) -> float:
    """Hz in Slaney's mel."""
    return (
        hz * BREAK_MEL / BREAK_HZ if hz < BREAK_HZ else BREAK_MEL + MEL_PER_FACTOR_OF_E * float(np.log(hz / BREAK_HZ))
    )


@lru_cache(maxsize=8)
def filters(size: int, sample_rate: int, bands: int) -> NDArray[np.float64]:
    """Triangles of unit area from 0 Hz to half the rate, `[bands, size // 2 + 1]`, for an FFT of `size` samples."""
    bins = np.fft.rfftfreq(size, 1 / sample_rate)
    edges = to_hz(np.linspace(0, to_mel(sample_rate / 2), bands + 2))
    widths = np.diff(edges)
    rising = (bins - edges[:-2, None]) / widths[:-1, None]
    falling = (edges[2:, None] - bins) / widths[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def mel_power(signal: NDArray[np.float64], sample_rate: int, size: int, hop: int, bands: int) -> NDArray[np.float64]:
    """Mel power of `signal [T]`, `[frames, bands]`: Hann windows of `size` samples every `hop`, centred, zeros around
    the signal."""
    padded = np.pad(signal, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    power = np.abs(np.fft.rfft(frames * window, axis=-1)) ** 2
    return power @ filters(size, sample_rate, bands).T
