"""Paired comparisons -> strengths: Bradley and Terry with ties after Davidson, and Thurstone's case V.

A comparison is a row `first, second, score`: 1 if the first won, -1 if the second, 0 for a tie.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.optimize
import scipy.stats

from encodec_eval.mushra.analysis.statistics import paired_permutation
from encodec_eval.stats import holm
from encodec_eval.types import EvalError

FloatArray = npt.NDArray[np.float64]
RIDGE = 1e-6  # keeps the strength of a condition finite that won or lost everything; elsewhere it moves no digit shown
MOST_STEPS = 200


@dataclass(frozen=True)
class Strengths:
    """Log strengths that sum to 0, with their covariance `[conditions, conditions]`, the degrees of freedom of their t
    intervals, and the tie parameter (log nu; NaN where there are no ties)."""

    conditions: Sequence[str]
    values: FloatArray
    covariance: FloatArray
    degrees: float
    log_tie: float

    @property
    def half_intervals(self) -> FloatArray:
        """Half widths of the 95 % intervals."""
        quantile = scipy.stats.t.ppf(0.975, self.degrees) if np.isfinite(self.degrees) else scipy.stats.norm.ppf(0.975)
        return quantile * np.sqrt(np.diag(self.covariance))

    def difference(self, first: int, second: int) -> tuple[float, float]:
        """Difference of two log strengths, and its p of being zero."""
        value = float(self.values[first] - self.values[second])
        both = self.covariance[np.ix_([first, second], [first, second])]
        error = float(np.sqrt(both[0, 0] + both[1, 1] - 2 * both[0, 1]))
        if not np.isfinite(self.degrees):
            return value, float(2 * scipy.stats.norm.sf(abs(value) / error))
        return value, float(2 * scipy.stats.t.sf(abs(value) / error, self.degrees))


def bradley_terry(comparisons: pd.DataFrame, cluster: str | None = "listener") -> Strengths:
    """Maximum likelihood of Davidson's model (J. Am. Stat. Assoc. 65, 1970), without ties that of Bradley and Terry
    (Biometrika 39, 1952): win p_i, loss p_j, tie nu sqrt(p_i p_j), over their sum.

    The covariance is the sandwich over the groups of the column `cluster` (one listener's answers are alike), with as
    many degrees of freedom as groups less one; the model's own if `cluster` is None. Raises `EvalError` for fewer than
    two conditions, or conditions that no chain of comparisons joins.
    """
    conditions = sorted({*comparisons["first"], *comparisons["second"]})
    _check_joined(conditions, comparisons)
    ties = bool((comparisons["score"] == 0).any())
    features, chosen = _features(conditions, comparisons, ties)
    theta = np.zeros(features.shape[-1])
    for _ in range(MOST_STEPS):
        gradients, information = _derivatives(theta, features, chosen)
        step = np.linalg.solve(information, gradients.sum(axis=0) - RIDGE * theta)
        theta += step * min(1.0, 5.0 / np.abs(step).max(initial=1e-12))
        if np.abs(step).max() < 1e-10:
            break
    gradients, information = _derivatives(theta, features, chosen)
    covariance, degrees = np.linalg.inv(information), np.inf
    if cluster is not None:
        groups = comparisons[cluster].to_numpy()
        names = np.unique(groups)
        sums = np.stack([gradients[groups == name].sum(axis=0) for name in names])
        covariance = covariance @ (sums.T @ sums) @ covariance * len(names) / max(len(names) - 1, 1)
        degrees = float(len(names) - 1)
    n = len(conditions)
    centre = np.eye(n) - 1 / n
    log_tie = float(theta[n]) if ties else float("nan")
    return Strengths(conditions, centre @ theta[:n], centre @ covariance[:n, :n] @ centre, degrees, log_tie)


def _check_joined(conditions: Sequence[str], comparisons: pd.DataFrame) -> None:
    if len(conditions) < 2:
        raise EvalError(f"{len(conditions)} conditions were compared; expected two or more")
    joined = {conditions[0]}
    pairs = {(str(a), str(b)) for a, b in zip(comparisons["first"], comparisons["second"], strict=True)}
    while more := {each for pair in pairs if joined & set(pair) for each in pair} - joined:
        joined |= more
    if lacking := set(conditions) - joined:
        raise EvalError(f"no comparison joins {', '.join(sorted(lacking))} with {conditions[0]}")


def _features(
    conditions: Sequence[str], comparisons: pd.DataFrame, ties: bool
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """What the log weight of each outcome (first wins, second wins, tie) is made of, `[rows, outcomes, parameters]`,
    and which outcome it was: Davidson's model is a multinomial logit."""
    place = {name: n for n, name in enumerate(conditions)}
    first, second = (comparisons[side].map(place).to_numpy() for side in ("first", "second"))
    rows, n = np.arange(len(comparisons)), len(conditions)
    features = np.zeros((len(comparisons), 2 + ties, n + ties))
    features[rows, 0, first] = features[rows, 1, second] = 1
    if ties:
        features[rows, 2, first] = features[rows, 2, second] = 0.5
        features[:, 2, n] = 1
    score = comparisons["score"].to_numpy()
    return features, np.where(score > 0, 0, np.where(score < 0, 1, 2)).astype(np.intp)


def _derivatives(
    theta: FloatArray, features: FloatArray, chosen: npt.NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Gradient of the log likelihood of every row, and the information; the direction that the likelihood does not know
    (all strengths up) is made known by the sum's square."""
    weights = features @ theta
    shares = np.exp(weights - weights.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    mean = np.einsum("ro,rop->rp", shares, features)
    gradients = features[np.arange(len(chosen)), chosen] - mean
    spread = features - mean[:, None, :]
    information = np.einsum("ro,rop,roq->pq", shares, spread, spread)
    strengths = np.array([float((features[:, :2, p] == 1).any()) for p in range(features.shape[-1])])
    return gradients, information + np.outer(strengths, strengths) + RIDGE * np.eye(len(theta))


def thurstone(comparisons: pd.DataFrame) -> dict[str, float]:
    """Scale values of Thurstone's case V (Psychological Review 34, 1927) by maximum likelihood, in units of the
    standard deviation of a difference, with sum 0; a tie counts half for each."""
    conditions = sorted({*comparisons["first"], *comparisons["second"]})
    place = {name: n for n, name in enumerate(conditions)}
    first, second = (comparisons[side].map(place).to_numpy() for side in ("first", "second"))
    won = (comparisons["score"].to_numpy() + 1) / 2

    def loss(values: FloatArray) -> float:
        gap = values[first] - values[second]
        likelihood = won * scipy.stats.norm.logcdf(gap) + (1 - won) * scipy.stats.norm.logcdf(-gap)
        return float(-likelihood.sum() + RIDGE * values @ values)

    found = scipy.optimize.minimize(loss, np.zeros(len(conditions)), method="BFGS").x
    return dict(zip(conditions, (found - found.mean()).tolist(), strict=True))


def one_way(comparisons: pd.DataFrame) -> pd.DataFrame:
    """The same comparisons with the two conditions of every pair in the order of their names."""
    turned = comparisons["first"] > comparisons["second"]
    return comparisons.assign(
        first=comparisons["first"].where(~turned, comparisons["second"]),
        second=comparisons["second"].where(~turned, comparisons["first"]),
        score=comparisons["score"].where(~turned, -comparisons["score"]),
    )


def wins(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Every pair: how often the first was preferred, neither, the second; the share of the first (ties half); and of
    how many `listeners`, with p and Holm's p of no preference.

    Answers of one listener are no independent trials, so p is not that of a sign test over answers: it permutes the
    signs of listeners' mean preferences (a win 1, a tie 0, a loss -1), which is the exact sign test where each listener
    answered once and without ties.
    """
    rows = []
    for (first, second), group in one_way(comparisons).groupby(["first", "second"]):
        won, tied, lost = (int((group["score"] == value).sum()) for value in (1, 0, -1))
        means = group.groupby("listener")["score"].mean().to_numpy(float)
        row = {"first": first, "second": second, "preferred": won, "neither": tied, "other": lost}
        row |= {"share": (won + tied / 2) / len(group), "listeners": len(means)}
        rows.append(row | {"p": paired_permutation(means) if len(means) > 1 else 1.0})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"].to_numpy()))
