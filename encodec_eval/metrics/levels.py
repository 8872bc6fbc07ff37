"""What a codec does to the level: loudness, treble that is gone, samples that clip."""

import numpy as np
import scipy.signal
import torch

from encodec_eval import loudness
from encodec_eval.metrics.framing import Floats, check, window_size
from encodec_eval.types import EvalError, Metric, UndefinedError

KEPT_DB = -60.0
FULL_SCALE = 32767 / 32768  # the largest sample of 16 bits


def loudness_difference(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Absolute difference in LU of the gated loudness of `reference [T]` and `estimate [T]` (ITU-R BS.1770-4).

    Both at 48 kHz. Undefined for less than 0.4 s, or where one has nothing above -70 LUFS.
    """
    if sample_rate != loudness.RATE:
        raise ValueError(f"expected audio at {loudness.RATE} Hz, got {sample_rate}")
    check(reference, estimate)
    try:
        values = [loudness.loudness(torch.from_numpy(wav)[None]) for wav in (reference, estimate)]
    except EvalError as error:
        raise UndefinedError(str(error)) from error
    return abs(values[1] - values[0])


def bandwidth_kept(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Percent of the reference's bandwidth that the estimate has, at most 100.

    A signal's bandwidth ends at the highest frequency where its mean power spectrum (Welch; Hann windows of 46 ms,
    half overlapped) is within 60 dB of the strongest of the reference. Undefined for a silent reference and for less
    than one window.
    """
    size = window_size(0.0464, sample_rate)
    check(reference, estimate, size)
    _, power = scipy.signal.welch(np.stack([reference, estimate]), sample_rate, nperseg=size, detrend=False)
    ends = [int(np.flatnonzero(row >= power[0].max() * 10 ** (KEPT_DB / 10)).max(initial=0)) for row in power]
    if ends[0] == 0:
        raise UndefinedError("the reference holds nothing but a constant")
    return 100 * min(ends[1] / ends[0], 1.0)


def clipping_share(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Percent of samples that are at full scale or beyond in `estimate [T]`, and not in `reference [T]`."""
    check(reference, estimate)
    return float(100 * np.mean((np.abs(estimate) >= FULL_SCALE) & (np.abs(reference) < FULL_SCALE)))


METRICS = [
    Metric(
        name="loudness_difference",
        title="Loudness difference",
        unit="LU",
        higher_is_better=False,
        range=(0, float("inf")),
        source="ITU-R BS.1770-4 with gating, absolute difference",
        function=loudness_difference,
        sample_rate=loudness.RATE,
        purpose="whether the output is louder or softer",
        groups=("speech", "music"),
    ),
    Metric(
        name="bandwidth_kept",
        title="Bandwidth kept",
        unit="%",
        higher_is_better=True,
        range=(0, 100),
        source="highest frequency within 60 dB of the peak of the reference's mean spectrum (Welch, 46 ms), of both",
        function=bandwidth_kept,
        channels="each",
        digits=1,
        purpose="whether treble is cut off",
        groups=("speech", "music"),
    ),
    Metric(
        name="clipping",
        title="Clipping share",
        unit="%",
        higher_is_better=False,
        range=(0, 100),
        source="samples at or beyond 32767/32768 of full scale that are not in the reference",
        function=clipping_share,
        channels="each",
        digits=3,
        purpose="whether a 16-bit file of the output clips",
        groups=("speech", "music"),
    ),
]
