"""Virtual speech quality objective listener, of the optional package visqol-python."""

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encodec_eval.types import Metric, UndefinedError


@lru_cache(maxsize=2)
def _api(mode: str) -> Any:
    from visqol import VisqolApi

    api = VisqolApi()
    # Speech mode with the polynomial mapping: the other one needs a runtime that is not always installed.
    api.create(mode=mode, use_lattice_model=False if mode == "speech" else None)
    return api


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, mode: str) -> float:
    """MOS-LQO of ViSQOL v3 in speech mode (16 kHz) or audio mode (48 kHz)."""
    try:
        return float(_api(mode).measure_from_arrays(reference, estimate, sample_rate).moslqo)
    except (ValueError, IndexError) as error:
        raise UndefinedError(f"ViSQOL cannot compare these: {error}") from error


def _metric(mode: str, sample_rate: int, top: float, mapping: str) -> Metric:
    return Metric(
        name=f"visqol_{mode}",
        title=f"ViSQOL ({mode})",
        unit="MOS-LQO",
        higher_is_better=True,
        range=(1, top),
        source=f"Chinen et al., ViSQOL v3, QoMEX 2020, {mapping}, through visqol-python",
        function=partial(score, mode=mode),
        sample_rate=sample_rate,
        packages=("visqol-python",),
        extra="visqol",
        purpose=f"how good {'a voice' if mode == 'speech' else 'music'} sounds, by similarity of spectrograms",
        groups=("speech" if mode == "speech" else "music",),
    )


METRICS = [
    _metric("speech", 16000, 5.0, "polynomial mapping scaled to 5"),
    _metric("audio", 48000, 4.73, "support vector regression"),
]
