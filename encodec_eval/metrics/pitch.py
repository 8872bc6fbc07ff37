"""Fundamental frequency: how far off it is, and where a voice came or went. Of the optional package pyworld."""

import warnings
from functools import lru_cache

import numpy as np

from encodec_eval.metrics.framing import Floats, check
from encodec_eval.types import Metric, UndefinedError

FRAME_MS = 10.0
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
MINIMUM_S = 0.1


def f0_rmse(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Root mean square in Hz of the difference of F0 over frames that are voiced in `reference [T]` and `estimate [T]`.

    Undefined for a silent reference, for less than 0.1 s, and where no frame is voiced in both.
    """
    ours, theirs = _contours(reference, estimate, sample_rate)
    both = (ours > 0) & (theirs > 0)
    if not both.any():
        raise UndefinedError("no frame is voiced in both")
    return float(np.sqrt(np.mean((ours[both] - theirs[both]) ** 2)))


def voicing_error(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Percent of frames that are voiced in one of `reference [T]` and `estimate [T]`, and unvoiced in the other.

    Undefined for a silent reference, for less than 0.1 s, and where the reference has no voiced frame.
    """
    ours, theirs = _contours(reference, estimate, sample_rate)
    if not ours.any():
        raise UndefinedError("the reference has no voiced frame")
    return float(100 * np.mean((ours > 0) != (theirs > 0)))


def _contours(reference: Floats, estimate: Floats, sample_rate: int) -> tuple[Floats, Floats]:
    check(reference, estimate, round(MINIMUM_S * sample_rate))
    return _f0(reference.tobytes(), sample_rate), _f0(estimate.tobytes(), sample_rate)


@lru_cache(maxsize=8)  # a reference comes again for every operating point, and both come for each metric
def _f0(samples: bytes, sample_rate: int) -> Floats:
    """F0 in Hz of float64 samples every 10 ms, 0 where unvoiced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pkg_resources, which says that it is old
        import pyworld

    x = np.frombuffer(samples)
    limits = {"f0_floor": LOWEST_HZ, "f0_ceil": HIGHEST_HZ}
    rough, times = pyworld.dio(x, sample_rate, frame_period=FRAME_MS, **limits)
    contour: Floats = pyworld.stonemask(x, rough, times, sample_rate)
    return contour


_SOURCE = (
    "F0 from 60 to 500 Hz every 10 ms by DIO and StoneMask (Morise et al., 2009 and 2016), through pyworld; speech only"
)
METRICS = [
    Metric(
        name="f0_rmse",
        title="F0 RMSE",
        unit="Hz",
        higher_is_better=False,
        range=(0, HIGHEST_HZ - LOWEST_HZ),
        source=_SOURCE,
        function=f0_rmse,
        sample_rate=16000,
        digits=1,
        packages=("pyworld",),
        extra="pitch",
        purpose="how far the melody of a voice is off",
        groups=("speech",),
    ),
    Metric(
        name="voicing_error",
        title="Voicing error",
        unit="%",
        higher_is_better=False,
        range=(0, 100),
        source=_SOURCE,
        function=voicing_error,
        sample_rate=16000,
        digits=1,
        packages=("pyworld",),
        extra="pitch",
        purpose="how often a voice turns into a whisper or noise into a voice",
        groups=("speech",),
    ),
]
