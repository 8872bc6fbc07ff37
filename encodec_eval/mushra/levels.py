"""Levels of a listening test: loudness, one gain for all stimuli of an item, fades at the edges."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from encodec_eval.loudness import RATE, loudness

TARGET_LUFS = -23.0
PEAK = 0.99
FADE_S = 0.01


def wanted_gain(reference: Tensor) -> float:
    """The gain in dB that brings `reference [C, T]` to -23 LUFS. Measured again after it, for the absolute gate."""
    first = TARGET_LUFS - loudness(reference)
    return first + TARGET_LUFS - loudness(reference * 10 ** (first / 20))


def common_gain(signals: Sequence[Tensor], wanted_db: float) -> tuple[float, float]:
    """The gain in dB that all signals of an item share, and by how much it stays below the wanted one so that no signal
    peaks above 0.99."""
    room = 20 * math.log10(PEAK / max(float(wav.abs().max()) for wav in signals))
    return min(wanted_db, room), max(wanted_db - room, 0.0)


def edge_fades(length: int) -> Tensor:
    """Gains `[T]` that begin and end with a raised cosine of 10 ms."""
    fade = round(FADE_S * RATE)
    ramp = torch.from_numpy(0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)).float()
    gains = torch.ones(length)
    gains[:fade], gains[-fade:] = ramp, ramp.flip(0)
    return gains
