"""How much of its codebooks a codec uses in a clip."""

import numpy as np
from numpy.typing import NDArray

from codec.usage import perplexity
from encodec_eval.types import Metric, UndefinedError


def code_entropy(codes: NDArray[np.int64]) -> float:
    """Entropy in bits of the codes of a codebook, the mean over the codebooks of `codes [K, F]`.

    Of the frequencies in these F frames, so that it cannot exceed log2(F) (Shannon, 1948).
    """
    return float(np.mean([entropy for entropy, _ in _usage(codes)]))


def code_perplexity(codes: NDArray[np.int64]) -> float:
    """How many entries, evenly used, would have the entropy of a codebook: 2^entropy, the mean over `codes [K, F]`."""
    return float(np.mean([effective for _, effective in _usage(codes)]))


def _usage(codes: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Entropy and perplexity of each codebook."""
    if codes.ndim != 2:
        raise ValueError(f"expected codes [K, F], got {codes.shape}")
    if not codes.size:
        raise UndefinedError("there are no codes")
    return [perplexity(np.unique(row, return_counts=True)[1]) for row in codes]


_SOURCE = "codes of one clip, mean over codebooks, at most log2 of its frames; Codebook usage has those of the set"
METRICS = [
    Metric(
        name="code_entropy",
        title="Code entropy",
        unit="bit",
        higher_is_better=None,
        range=(0, float("inf")),
        source=_SOURCE,
        function=code_entropy,
        kind="codes",
        purpose="how many bits a code is worth to an ideal coder of single codes",
    ),
    Metric(
        name="code_perplexity",
        title="Code perplexity",
        unit="",
        higher_is_better=None,
        range=(1, float("inf")),
        source=f"2^entropy; {_SOURCE}",
        function=code_perplexity,
        kind="codes",
        digits=0,
        purpose="how many entries of a codebook are as good as in use",
    ),
]
