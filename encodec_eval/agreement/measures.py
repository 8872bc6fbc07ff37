"""The measures of ITU-T P.1401 (2020) for a metric against listeners: pure functions of arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.stats
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CUBIC_FROM = 8  # points, or the mapping is a line: a cubic through fewer has next to no freedom left
GRID = 101  # places where a mapping may not fall


@dataclass(frozen=True)
class Value:
    """A measure and its 95 % interval; NaN where it has none."""

    value: float
    low: float = np.nan
    high: float = np.nan


@dataclass(frozen=True)
class Mapping:
    """A polynomial that rises over the scores it was fitted to; outside it keeps its ends. `order` is 3 or 1."""

    coefficients: Floats
    low: float
    high: float

    @property
    def order(self) -> int:
        return len(self.coefficients) - 1

    def __call__(self, scores: Floats) -> Floats:
        return np.asarray(np.polyval(self.coefficients, self._scaled(np.clip(scores, self.low, self.high))))

    def _scaled(self, scores: Floats) -> Floats:
        return (scores - self.low) / (self.high - self.low)


def fit(scores: Floats, ratings: Floats) -> Mapping:
    """The third-order polynomial from scores to ratings with the least squares that never falls between the lowest and
    the highest score; a rising line for fewer than `CUBIC_FROM` points."""
    order = 3 if len(scores) >= CUBIC_FROM else 1
    low, high = float(scores.min()), float(scores.max())
    x = (scores - low) / (high - low)
    free = np.polyfit(x, ratings, order)
    grid = np.linspace(0, 1, GRID)
    powers = range(order, -1, -1)
    slopes = np.stack([power * grid ** max(power - 1, 0) for power in powers], axis=1)
    if (slopes @ free >= 0).all():
        return Mapping(free, low, high)
    design = np.stack([x**power for power in powers], axis=1)
    flat = np.zeros(order + 1)
    flat[-1] = ratings.mean()

    def squares(c: Floats) -> float:
        return float(np.square(design @ c - ratings).sum())

    def gradient(c: Floats) -> Floats:
        return np.asarray(2 * design.T @ (design @ c - ratings))

    rising = scipy.optimize.LinearConstraint(slopes, 0, np.inf)
    options: Any = {"maxiter": 500, "ftol": 1e-12}
    found = scipy.optimize.minimize(squares, flat, jac=gradient, constraints=rising, method="SLSQP", options=options)
    return Mapping(np.asarray(found.x), low, high)


def rmse(errors: Floats, freedom: int) -> Value:
    """Root mean square of prediction errors over `N - freedom`, with its interval by chi squared."""
    n = len(errors) - freedom
    if n < 1:
        return Value(np.nan)
    value = float(np.sqrt(np.square(errors).sum() / n))
    low, high = (value * np.sqrt(n / scipy.stats.chi2.ppf(p, n)) for p in (0.975, 0.025))
    return Value(value, float(low), float(high))


def insensitive_rmse(errors: Floats, ci95: Floats, freedom: int) -> float:
    """RMSE* of the part of each error that is outside the 95 % interval of its rating, `ci95` to either side."""
    return rmse(np.maximum(0, np.abs(errors) - ci95), freedom).value


def outlier_ratio(errors: Floats, ci95: Floats) -> Value:
    """Share of errors outside the 95 % interval of their rating, with its interval: by t for fewer than 30."""
    n = len(errors)
    share = float((np.abs(errors) > ci95).mean())
    width = scipy.stats.norm.ppf(0.975) if n >= 30 else scipy.stats.t.ppf(0.975, max(n - 1, 1))
    half = float(width * np.sqrt(share * (1 - share) / n))
    return Value(share, max(share - half, 0), min(share + half, 1))


def pearson(scores: Floats, ratings: Floats) -> Value:
    """Pearson's correlation, its interval by Fisher's z."""
    r = float(scipy.stats.pearsonr(scores, ratings).statistic)
    return _fisher(r, 1 / (len(scores) - 3))


def spearman(scores: Floats, ratings: Floats) -> Value:
    """Spearman's rank correlation, its interval after Bonett and Wright (Psychometrika 65, 2000)."""
    r = float(scipy.stats.spearmanr(scores, ratings).statistic)
    return _fisher(r, (1 + r**2 / 2) / (len(scores) - 3))


def kendall(scores: Floats, ratings: Floats) -> Value:
    """Kendall's tau-b, its interval after Fieller, Hartley and Pearson (Biometrika 44, 1957)."""
    r = float(scipy.stats.kendalltau(scores, ratings).statistic)
    return _fisher(r, 0.437 / (len(scores) - 4) if len(scores) > 4 else np.nan)


CORRELATIONS: dict[str, Callable[[Floats, Floats], Value]] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
}


def _fisher(r: float, variance: float) -> Value:
    if abs(r) >= 1 or not variance > 0:
        return Value(r)
    half = scipy.stats.norm.ppf(0.975) * np.sqrt(variance)
    return Value(r, float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half)))


def compare_correlations(first: float, second: float, between: float, n: int) -> tuple[float, float]:
    """Whether two metrics correlate differently with the same ratings: z and its two-sided p.

    `first` and `second` are their correlations with the ratings, `between` that with each other, all over `n` points
    (Meng, Rosenthal and Rubin, Psychological Bulletin 111, 1992). NaN for fewer than four points.
    """
    if n < 4 or max(abs(first), abs(second), abs(between)) >= 1:
        return np.nan, np.nan
    mean_square = (first**2 + second**2) / 2
    f = min((1 - between) / (2 * (1 - mean_square)), 1)
    h = (1 - f * mean_square) / (1 - mean_square)
    z = (np.arctanh(first) - np.arctanh(second)) * np.sqrt((n - 3) / (2 * (1 - between) * h))
    return float(z), float(2 * scipy.stats.norm.sf(abs(z)))
