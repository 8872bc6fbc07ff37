"""Zimtohrli: how far apart two signals are for a model of hearing, near the threshold of what can be told apart."""

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encodec_eval.types import Metric, UndefinedError

SHORTEST_S = 0.1  # its statistics are over 71 ms


@lru_cache(maxsize=1)
def _model() -> Any:
    from zimtohrli import Pyohrli

    return Pyohrli()


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, mos: bool) -> float:
    """Distance of `estimate [T]` from `reference [T]` at 48 kHz, 0 to 1, or the MOS that the package makes of it."""
    if len(reference) < SHORTEST_S * sample_rate:
        raise UndefinedError(f"shorter than {SHORTEST_S:g} s")
    distance = float(_model().distance(reference, estimate))
    if not mos:
        return distance
    from zimtohrli import mos_from_zimtohrli

    return float(mos_from_zimtohrli(distance))


def _metric(name: str, title: str, unit: str, mos: bool, digits: int) -> Metric:
    return Metric(
        name=name,
        title=title,
        unit=unit,
        higher_is_better=mos,
        range=(1, 5) if mos else (0, 1),
        source="Google, Zimtohrli (github.com/google/zimtohrli)" + (", its mapping to MOS" if mos else ""),
        function=partial(score, mos=mos),
        sample_rate=48000,
        channels="each",
        max_piece_s=30,
        digits=digits,
        packages=("zimtohrli",),
        extra="perceptual",
        purpose="how different the sound is to a model of hearing",
        groups=("speech", "music"),
    )


METRICS = [
    _metric("zimtohrli", "Zimtohrli distance", "", mos=False, digits=4),
    _metric("zimtohrli_mos", "Zimtohrli MOS", "MOS", mos=True, digits=2),
]
