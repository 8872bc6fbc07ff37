"""Levels of a listening test: loudness after ITU-R BS.1770, one gain for all stimuli of an item, fades at the edges."""

import math
from collections.abc import Sequence

import numpy as np
import scipy.signal
import torch
from torch import Tensor

from encodec_eval.types import EvalError

RATE = 48000
TARGET_LUFS = -23.0
PEAK = 0.99
FADE_S = 0.01
BLOCK_S, HOP_S = 0.4, 0.1
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0

# ITU-R BS.1770-4, tables 1 and 2, at 48 kHz: what the head does, then the revised low-frequency B curve
K_WEIGHTING = np.array(
    [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)


def loudness(wav: Tensor) -> float:
    """Gated loudness of `wav [C, T]`, mono or stereo at 48 kHz, in LUFS (ITU-R BS.1770-4).

    Raises `EvalError` for less than 0.4 s, or if nothing is above -70 LUFS.
    """
    block, hop = round(BLOCK_S * RATE), round(HOP_S * RATE)
    if wav.shape[-1] < block:
        raise EvalError(f"{wav.shape[-1] / RATE:.2f} s are too short for a loudness; expected at least {BLOCK_S} s")
    weighted = scipy.signal.sosfilt(K_WEIGHTING, wav.double().numpy())
    energy = np.pad(np.cumsum((weighted**2).sum(0)), (1, 0))
    starts = np.arange(0, wav.shape[-1] - block + 1, hop)
    power = (energy[starts + block] - energy[starts]) / block
    power = power[power > from_lufs(ABSOLUTE_GATE)]
    if not len(power):
        raise EvalError(f"nothing is above {ABSOLUTE_GATE:g} LUFS: the loudness of a silent item cannot be set")
    power = power[power > power.mean() * 10 ** (RELATIVE_GATE / 10)]
    return float(10 * np.log10(power.mean()) - 0.691)


def from_lufs(value: float) -> float:
    """The K-weighted power that has this loudness."""
    return float(10 ** ((value + 0.691) / 10))


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
