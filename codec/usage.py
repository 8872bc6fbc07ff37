"""How evenly the entries of a codebook are used."""

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike


def perplexity(counts: ArrayLike) -> tuple[float, float]:
    """Entropy in bits of the counts of each entry, and its perplexity 2^entropy: the effective number of entries."""
    counts = np.asarray(counts, dtype=np.float64)
    entropy = float(scipy.stats.entropy(counts, base=2))
    return entropy, 2**entropy
