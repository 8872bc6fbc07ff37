"""Statistics of scores: pure functions of arrays. A score without a value is NaN and is never counted as a number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

Floats = NDArray[np.float64]
RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval; the ends are NaN where fewer than two groups are known."""

    mean: float
    low: float
    high: float


def bootstrap_means(values: ArrayLike, groups: Sequence[object], seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """Means of `resamples` draws of whole groups with replacement: `[resamples]`.

    Clips of one speaker are alike, so the speaker is what is drawn (the cluster bootstrap: Davison and Hinkley,
    Bootstrap Methods and their Application, 1997, section 3.8). A draw's mean weighs clips equally. No NaN allowed.
    """
    values = np.asarray(values, dtype=np.float64)
    _, membership = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums = np.bincount(membership, weights=values)
    sizes = np.bincount(membership)
    count = len(sizes)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return (draws @ sums) / (draws @ sizes)


def mean_interval(values: ArrayLike, groups: Sequence[object], seed: int = 0) -> Interval:
    """The mean of the scored values and its 95 % percentile interval from `bootstrap_means`. NaN are left out."""
    values = np.asarray(values, dtype=np.float64)
    scored = np.isfinite(values)
    if not scored.any():
        return Interval(np.nan, np.nan, np.nan)
    kept = [group for group, keep in zip(groups, scored, strict=True) if keep]
    mean = float(values[scored].mean())
    if len(set(kept)) < 2:
        return Interval(mean, np.nan, np.nan)
    low, high = np.percentile(bootstrap_means(values[scored], kept, seed), [2.5, 97.5])
    return Interval(mean, float(low), float(high))


@dataclass(frozen=True)
class Difference:
    """Mean of the paired differences, their 95 % interval, the p-value, and how many pairs have both values."""

    mean: float
    low: float
    high: float
    p: float
    n: int


def paired_difference(values: ArrayLike, reference: ArrayLike, groups: Sequence[object], seed: int = 0) -> Difference:
    """How much `values` exceed `reference`, clip by clip, over clips where both have a value.

    The p-value is that of the two-sided one-sample t-test on the means of the groups: speakers, not clips, are the
    independent units. It is 1 where all those means are 0, and NaN for fewer than two groups.
    """
    differences = np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    both = np.isfinite(differences)
    kept = [group for group, keep in zip(groups, both, strict=True) if keep]
    interval = mean_interval(differences, groups, seed)
    p = np.nan
    if len(set(kept)) >= 2:
        _, membership = np.unique(np.asarray(kept, dtype=str), return_inverse=True)
        means = np.bincount(membership, weights=differences[both]) / np.bincount(membership)
        p = float(scipy.stats.ttest_1samp(means, 0).pvalue) if means.any() else 1.0
    return Difference(interval.mean, interval.low, interval.high, p, int(both.sum()))


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values (Holm, Scand. J. Statistics 6, 1979). NaN stay NaN and do not count."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return adjusted


@dataclass(frozen=True)
class Bjontegaard:
    """`rate_percent`: more rate for equal quality than the anchor; `quality`: gain at equal rate. NaN: no overlap."""

    rate_percent: float
    quality: float


def bjontegaard(
    rates: ArrayLike, qualities: ArrayLike, anchor_rates: ArrayLike, anchor_qualities: ArrayLike
) -> Bjontegaard:
    """Bjontegaard deltas of a rate-quality curve against an anchor's, over the span that both have.

    Piecewise cubic Hermite interpolation of log10 rate over quality, and the reverse (Bjontegaard, ITU-T VCEG-M33,
    2001, with the interpolation of its revision in HM and VTM). Rates in kbps. Points are sorted by rate; a
    curve needs two points. The rate delta needs qualities that rise with the rate: else it is NaN.
    """
    curve, anchor = _curve(rates, qualities), _curve(anchor_rates, anchor_qualities)
    if curve is None or anchor is None:
        return Bjontegaard(np.nan, np.nan)
    (log_rate, quality), (anchor_log_rate, anchor_quality) = curve, anchor
    gain = _mean_gap(log_rate, quality, anchor_log_rate, anchor_quality)
    rate_percent = np.nan
    if (np.diff(quality) > 0).all() and (np.diff(anchor_quality) > 0).all():
        rate_percent = (10 ** _mean_gap(quality, log_rate, anchor_quality, anchor_log_rate) - 1) * 100
    return Bjontegaard(float(rate_percent), float(gain))


def _curve(rates: ArrayLike, qualities: ArrayLike) -> tuple[Floats, Floats] | None:
    rate, quality = np.asarray(rates, dtype=np.float64), np.asarray(qualities, dtype=np.float64)
    known = np.isfinite(rate) & np.isfinite(quality)
    order = np.argsort(rate[known])
    rate, quality = rate[known][order], quality[known][order]
    return (np.log10(rate), quality) if len(rate) >= 2 and (np.diff(rate) > 0).all() else None


def _mean_gap(x: Floats, y: Floats, anchor_x: Floats, anchor_y: Floats) -> float:
    """Mean over the common span of x of (curve - anchor)."""
    low, high = max(x[0], anchor_x[0]), min(x[-1], anchor_x[-1])
    if low >= high:
        return np.nan
    area = PchipInterpolator(x, y).integrate(low, high) - PchipInterpolator(anchor_x, anchor_y).integrate(low, high)
    return float(area / (high - low))


def perplexity(counts: ArrayLike) -> tuple[float, float]:
    """Entropy in bits of a histogram, and its perplexity 2^entropy: how many entries are as good as in use."""
    counts = np.asarray(counts, dtype=np.float64)
    entropy = float(scipy.stats.entropy(counts, base=2))
    return entropy, 2**entropy
