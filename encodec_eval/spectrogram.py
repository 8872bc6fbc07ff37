"""Levels over time and frequency, for the pictures of reports and of the app."""

import numpy as np
import torch
from numpy.typing import NDArray

WINDOW_S = 0.032


def level_db(audio: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Spectrogram `[frequencies, frames]` of `audio [T]` in dB re a full-scale sine; 32 ms Hann windows, hop 8 ms."""
    size = 2 * round(WINDOW_S * sample_rate / 2)
    window = torch.hann_window(size, dtype=torch.float64)
    padded = torch.nn.functional.pad(torch.from_numpy(audio), (size // 2, size // 2))
    spectrum = torch.stft(padded, size, size // 4, window=window, center=False, return_complex=True).abs()
    return (20 * torch.log10(2 * spectrum / window.sum() + 1e-10)).numpy()
