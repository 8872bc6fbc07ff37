"""Makes the bundled noise: `python -m tests.benchmarks.bundled_noise FILE`. Nothing in it was recorded."""

import sys
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile as sf
from numpy.typing import NDArray

RATE, SECONDS, SEED = 32000, 12, 20221024
LEVEL = 0.02  # of full scale: quiet noise makes a small file


def make() -> NDArray[np.float64]:
    """A room with a fan and things being put down: pink noise whose level drifts, hum, and clatter. `[T]`."""
    generator = np.random.default_rng(SEED)
    length = RATE * SECONDS
    time = np.arange(length) / RATE
    drift = sum(np.sin(2 * np.pi * (n * time / SECONDS + generator.uniform())) / n for n in range(1, 9))
    noise = pink(generator, length) * 10 ** (3 * drift / 20)  # whole periods: the ends meet
    hum = sum(generator.uniform(0.1, 0.4) / n * np.sin(2 * np.pi * 48 * n * time) for n in range(1, 12))
    return normalised(noise + hum + clatter(generator, length))


def pink(generator: np.random.Generator, length: int) -> NDArray[np.float64]:
    """Noise of equal power in each octave above 30 Hz."""
    spectrum = np.fft.rfft(generator.normal(size=length))
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    made = np.fft.irfft(spectrum / np.sqrt(np.maximum(frequency, 30)), length)
    return made / made.std()


def clatter(generator: np.random.Generator, length: int) -> NDArray[np.float64]:
    """Short ringing knocks, about three in two seconds."""
    impulses = np.zeros(length)
    at = generator.integers(0, length - RATE, round(1.5 * SECONDS))
    impulses[at] = generator.uniform(1, 6, len(at)) * generator.choice([-1, 1], len(at))
    made = np.zeros(length)
    for _ in range(6):
        frequency, decay_s = generator.uniform(300, 6000), generator.uniform(0.01, 0.05)
        pole = np.exp(-1 / (decay_s * RATE))
        angle = 2 * np.pi * frequency / RATE
        made += scipy.signal.lfilter([np.sin(angle)], [1, -2 * pole * np.cos(angle), pole**2], impulses)
    return made


def normalised(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    return LEVEL * signal / signal.std()


if __name__ == "__main__":
    sf.write(Path(sys.argv[1]), make(), RATE, "PCM_16")
