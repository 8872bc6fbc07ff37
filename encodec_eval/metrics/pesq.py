"""Perceptual evaluation of speech quality."""

from functools import partial

import numpy as np
import pesq
from numpy.typing import NDArray

from encodec_eval.types import Metric, UndefinedError


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, mode: str) -> float:
    """MOS-LQO of ITU-T P.862.2 (`mode` "wb", 16 kHz) or P.862.1 ("nb", 8 or 16 kHz), before their Corrigendum 2.

    The library can kill the process on long audio with many pauses: call it in a process that may die.
    """
    try:
        return float(pesq.pesq(sample_rate, reference, estimate, mode))
    except pesq.PesqError as error:
        text = error.args[0] if error.args else ""
        reason = text.decode() if isinstance(text, bytes) else str(text)
        raise UndefinedError(f"{type(error).__name__}: {reason.rstrip(' !')}") from error


_SOURCE = "through pesq 0.0.4, which predates Corrigendum 2 of 2018; speech only"
METRICS = [
    Metric(
        name="pesq",
        title="PESQ-wb",
        unit="MOS-LQO",
        higher_is_better=True,
        range=(1.04, 4.64),
        source=f"ITU-T P.862.2 {_SOURCE}",
        edition="P.862.2 without Cor. 2",
        function=partial(score, mode="wb"),
        sample_rate=16000,
        max_piece_s=20,
        packages=("pesq",),
        purpose="how good a voice sounds, as listeners rated telephone speech",
        groups=("speech",),
    ),
    Metric(
        name="pesq_nb",
        title="PESQ-nb",
        unit="MOS-LQO",
        higher_is_better=True,
        range=(1.02, 4.55),
        source=f"ITU-T P.862.1 {_SOURCE}",
        edition="P.862.1 without Cor. 2",
        function=partial(score, mode="nb"),
        sample_rate=8000,
        max_piece_s=20,
        packages=("pesq",),
        purpose="how good a voice sounds in the narrow band of a telephone",
        groups=("speech",),
    ),
]
