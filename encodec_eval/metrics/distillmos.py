"""DistillMOS: a small network's guess at the mean opinion score of speech, without a reference."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encodec_eval.types import Metric
from encodec_eval.weights import audible, quiet


@lru_cache(maxsize=1)
def _model() -> Any:
    from distillmos import ConvTransformerSQAModel

    with quiet():
        return ConvTransformerSQAModel().eval()


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """MOS of `estimate [T]` at 16 kHz: the mean over windows of 7.68 s, at most 1 s apart; zeros fill a shorter one."""
    signal = torch.from_numpy(audible(estimate)).float()
    with torch.inference_mode():
        return float(_model()(signal[None]))


METRICS = [
    Metric(
        name="distillmos",
        title="DistillMOS",
        unit="MOS",
        higher_is_better=True,
        range=(1, 5),
        source="Stahl and Gamper, Distillation and pruning for scalable self-supervised representation-based speech "
        "quality assessment, ICASSP 2025, no reference, through distillmos; speech only",
        function=score,
        sample_rate=16000,
        packages=("distillmos",),
        extra="perceptual",
        weights=("distillmos/weights/distill_mos_v7.pt",),
        purpose="how good speech sounds, predicted without its original",
        groups=("speech",),
    )
]
