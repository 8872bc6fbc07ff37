"""Virtual speech quality objective listener, of the optional package visqol-python."""

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encodec_eval.types import Metric, UndefinedError

LATTICE = "lattice_tcditugenmeetpackhref_ls2_nl60_lr12_bs2048_learn.005_ep2400_train1_7_raw.tflite"


@lru_cache(maxsize=3)
def _api(mode: str, lattice: bool) -> Any:
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode=mode, use_lattice_model=lattice if mode == "speech" else None)
    return api


def score(
    reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, mode: str, lattice: bool = False
) -> float:
    """MOS-LQO of ViSQOL v3 in speech mode (16 kHz, polynomial or lattice mapper) or audio mode (48 kHz)."""
    try:
        return float(_api(mode, lattice).measure_from_arrays(reference, estimate, sample_rate).moslqo)
    except (ValueError, IndexError) as error:
        raise UndefinedError(f"ViSQOL cannot compare these: {error}") from error


def _metric(mode: str, sample_rate: int, top: float, mapper: str, mapping: str, weights: str | None = None) -> Metric:
    lattice = mapper == "lattice"
    only = "; speech only" if mode == "speech" else ""
    return Metric(
        name=f"visqol_{mode}" + ("_lattice" if lattice else ""),
        title=f"ViSQOL ({mode})",
        unit="MOS-LQO",
        higher_is_better=True,
        range=(1, top),
        source=f"Chinen et al., ViSQOL v3, QoMEX 2020, {mapping}, through visqol-python" + only,
        edition=f"{mapper} mapper",
        function=partial(score, mode=mode, lattice=lattice),
        sample_rate=sample_rate,
        packages=("visqol-python", "ai-edge-litert") if lattice else ("visqol-python",),
        extra="perceptual" if lattice else "visqol",
        weights=(f"visqol/model/{weights}",) if weights else (),
        purpose=f"how good {'a voice' if mode == 'speech' else 'music'} sounds, by similarity of spectrograms",
        groups=("speech" if mode == "speech" else "music",),
    )


METRICS = [
    _metric("speech", 16000, 5.0, "polynomial", "polynomial mapping scaled to 5"),
    _metric("speech", 16000, 5.0, "lattice", "lattice network, the default of Google's since 3.3.3", LATTICE),
    _metric("audio", 48000, 4.73, "SVR", "support vector regression", "libsvm_nu_svr_model.txt"),
]
