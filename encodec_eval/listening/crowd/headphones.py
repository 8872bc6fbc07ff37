"""Headphone checks for a page: six trials of three sounds, of which one is to be picked.

`huggins`: Milne et al. 2020, "An online headphone screening test based on dichotic pitch"
(doi:10.3758/s13428-020-01514-0). Three white noises of 1 s; in one, the right ear's is turned by
180 degrees within 6 % of 600 Hz, which only two ears together hear as a faint tone. All six must be right: the authors
advise it, as lower marks let more loudspeakers pass (github.com/ChaitLabUCL/HeadphoneCheck_Test).

`antiphase`: Woods et al. 2017, "Headphone screening to facilitate web-based auditory experiments"
(doi:10.3758/s13414-017-1361-2). Which of three 200 Hz tones is the softest? One is 6 dB below the others; one of
the loud ones is turned by 180 degrees between the channels, so that it seems softest where loudspeakers add them up.
Five of six, as the authors advise (github.com/mcdermottLab/HeadphoneCheck).
"""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

RATE = 44100
TRIALS, INTERVALS = 6, 3
DURATION_S, GAP_S = 1.0, 0.5
CENTRE_HZ, BAND = 600.0, 0.06
TONE_HZ, TONE_RAMP_S, SOFTER_DB = 200.0, 0.1, 6.0
NOISE_RMS, NOISE_RAMP_S, TONE_PEAK = 0.08, 0.01, 0.25

Stereo = NDArray[np.float64]


def ramped(signal: Stereo, seconds: float) -> Stereo:
    """`signal [2, T]` with raised-cosine edges."""
    count = round(seconds * RATE)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(count) / count)
    shape = np.ones(signal.shape[-1])
    shape[:count], shape[-count:] = rise, rise[::-1]
    return signal * shape


def noise(generator: np.random.Generator, pitch: bool) -> Stereo:
    """White noise `[2, T]`, the same in both ears, or with Huggins' pitch. Either ear alone has no cue: a turn of the
    phase leaves each ear's spectrum as it is."""
    left = generator.standard_normal(round(DURATION_S * RATE))
    right = left
    if pitch:
        spectrum = np.fft.rfft(left)
        frequency = np.fft.rfftfreq(len(left), 1 / RATE)
        spectrum[np.abs(frequency - CENTRE_HZ) <= BAND * CENTRE_HZ] *= -1
        right = np.fft.irfft(spectrum, len(left))
    return ramped(NOISE_RMS * np.stack([left, right]), NOISE_RAMP_S)


def tone(softer: bool, turned: bool) -> Stereo:
    """A tone `[2, T]`, 6 dB softer or not, in antiphase or not."""
    wave = TONE_PEAK * np.sin(2 * np.pi * TONE_HZ * np.arange(round(DURATION_S * RATE)) / RATE)
    wave = wave * 10 ** (-SOFTER_DB / 20) if softer else wave
    return ramped(np.stack([wave, -wave if turned else wave]), TONE_RAMP_S)


def huggins(seed: int) -> list[tuple[list[Stereo], int]]:
    """Six trials: three noises, and which of them (0 to 2) has the tone; each place is right twice."""
    generator = np.random.default_rng([seed, 1])
    places = generator.permutation([0, 1, 2] * (TRIALS // INTERVALS))
    return [([noise(generator, i == place) for i in range(INTERVALS)], int(place)) for place in places]


def antiphase(seed: int) -> list[tuple[list[Stereo], int]]:
    """Six trials: three tones, and which of them (0 to 2) is the softest; each order of the three comes once."""
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    trials = []
    for n in np.random.default_rng([seed, 2]).permutation(len(orders)):
        soft, turned, _ = orders[n]
        trials.append(([tone(i == soft, i == turned) for i in range(INTERVALS)], soft))
    return trials


@dataclass(frozen=True)
class Check:
    """A way to check for headphones: its stimuli by seed, and how many of six must be right."""

    stimuli: Callable[[int], list[tuple[list[Stereo], int]]]
    passes: int

    def right(self, seed: int) -> list[int]:
        """The right answer of each trial, from 0."""
        return list(_right(self.stimuli, seed))


@lru_cache(64)  # a server asks with every post
def _right(stimuli: Callable[[int], list[tuple[list[Stereo], int]]], seed: int) -> tuple[int, ...]:
    return tuple(place for _, place in stimuli(seed))


CHECKS = {"huggins": Check(huggins, 6), "antiphase": Check(antiphase, 5)}


def trial_sound(intervals: list[Stereo]) -> Stereo:
    """The intervals `[2, T]` of a trial one after the other, half a second of silence between them."""
    silence = np.zeros((2, round(GAP_S * RATE)))
    return np.concatenate([part for interval in intervals for part in (interval, silence)][:-1], axis=1)


def audio_script(check: str, seed: int) -> str:
    """All trials as the script `audio/headphones.js`: base64 of 16-bit WAV files named `h0` to `h5`."""
    files = {}
    for n, (intervals, _) in enumerate(CHECKS[check].stimuli(seed)):
        with io.BytesIO() as file:
            sf.write(file, trial_sound(intervals).T, RATE, format="WAV", subtype="PCM_16")
            files[f"h{n}"] = base64.b64encode(file.getvalue()).decode()
    return f'mushraAudio("headphones", {json.dumps(files)});\n'
