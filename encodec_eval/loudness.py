"""Loudness after ITU-R BS.1770-4."""

import numpy as np
import scipy.signal
from torch import Tensor

from encodec_eval.types import EvalError

RATE = 48000
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
