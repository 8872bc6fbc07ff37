"""Short-time objective intelligibility."""

import warnings
from functools import partial

import numpy as np
import pystoi
from numpy.typing import NDArray

from encodec_eval.types import Metric, UndefinedError


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, extended: bool) -> float:
    """STOI or extended STOI. Undefined where fewer than 30 frames (0.4 s) are left without the silent ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(reference, estimate, sample_rate, extended=extended))
        except (RuntimeWarning, ValueError) as error:
            raise UndefinedError("fewer than 30 frames (0.4 s) are not silent") from error


METRICS = [
    Metric(
        name="stoi",
        title="STOI",
        unit="",
        higher_is_better=True,
        range=(-1, 1),
        source="Taal et al., ICASSP 2010, through pystoi; speech only",
        function=partial(score, extended=False),
        sample_rate=16000,
        digits=3,
        packages=("pystoi",),
        purpose="how well speech is understood",
        groups=("speech",),
    ),
    Metric(
        name="estoi",
        title="ESTOI",
        unit="",
        higher_is_better=True,
        range=(-1, 1),
        source="Jensen and Taal, TASLP 2016, through pystoi; speech only",
        function=partial(score, extended=True),
        sample_rate=16000,
        digits=3,
        packages=("pystoi",),
        purpose="how well speech is understood, in noise that comes and goes too",
        groups=("speech",),
    ),
]
