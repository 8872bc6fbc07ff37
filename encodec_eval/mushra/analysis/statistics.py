"""Statistics of repeated ratings: pure functions of rows `listener, item, condition, score`.

Listeners are the random sample: a listener's ratings of several items are averaged before listeners are compared,
so that no interval counts one person's taste several times.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from encodec_eval.stats import holm
from encodec_eval.types import EvalError

FloatArray = npt.NDArray[np.float64]


def listener_means(ratings: pd.DataFrame) -> pd.DataFrame:
    """Mean score over items: one row a listener, one column a condition."""
    return ratings.pivot_table(index="listener", columns="condition", values="score", aggfunc="mean")


def mean_interval(values: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Mean and half width of its Student-t interval; the half width of fewer than two values is NaN."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    t = scipy.stats.t.ppf((1 + level) / 2, len(values) - 1)
    return float(np.mean(values)), float(t * scipy.stats.sem(values))


def summarise(ratings: pd.DataFrame, by: tuple[str, ...] = ("condition",)) -> pd.DataFrame:
    """Per group: mean and half 95 % interval over listeners; median and quartiles over all ratings; both counts."""
    rows = []
    for key, group in ratings.groupby(list(by), sort=False):
        mean, half = mean_interval(group.groupby("listener")["score"].mean().to_numpy())
        q25, median, q75 = (float(group["score"].quantile(q)) for q in (0.25, 0.5, 0.75))
        rows.append(
            dict(zip(by, key, strict=True))
            | {"mean": mean, "ci95": half, "median": median, "q25": q25, "q75": q75}
            | {"listeners": group["listener"].nunique(), "ratings": len(group)}
        )
    return pd.DataFrame(rows)


def friedman(means: pd.DataFrame) -> dict[str, float]:
    """Friedman's test of equal conditions over `means` (listeners x conditions), and Kendall's W, the agreement of the
    listeners' rankings (0 none, 1 full). Raises `EvalError` for fewer than three conditions."""
    if means.shape[1] < 3:
        raise EvalError(f"only {', '.join(means.columns)} were rated; a comparison needs three conditions or more")
    result = scipy.stats.friedmanchisquare(*means.to_numpy().T)
    statistic, p = float(result.statistic), float(result.pvalue)
    listeners, conditions = means.shape
    return {"chi2": statistic, "df": conditions - 1, "p": p, "kendall_w": statistic / (listeners * (conditions - 1))}


def paired_permutation(difference: FloatArray, resamples: int = 20000, seed: int = 0) -> float:
    """Two-sided p of mean difference zero when signs may be flipped: all flips if they are at most `resamples`."""
    result = scipy.stats.permutation_test(
        (difference,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def compare_pairs(means: pd.DataFrame, resamples: int = 20000, seed: int = 0) -> pd.DataFrame:
    """Every pair of conditions over the same listeners: mean difference, its half 95 % interval, p and Holm's p."""
    rows = []
    for first, second in combinations(means.columns, 2):
        difference = (means[first] - means[second]).to_numpy()
        mean, half = mean_interval(difference)
        p = paired_permutation(difference, resamples, seed)
        rows.append({"first": first, "second": second, "difference": mean, "ci95": half, "p": p})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"].to_numpy()))


def intraclass_correlation(scores: FloatArray) -> tuple[float, float]:
    """ICC(2,1) and ICC(2,k) of `scores` (rated things x raters): absolute agreement of one rater, and of the mean of
    all (Shrout and Fleiss, Psychological Bulletin 86, 1979)."""
    n, k = scores.shape
    grand = scores.mean()
    between_rows = k * ((scores.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    between_raters = n * ((scores.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    residual = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0, keepdims=True) + grand
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    spread = between_rows - error
    single = spread / (between_rows + (k - 1) * error + k * (between_raters - error) / n)
    return float(single), float(spread / (between_rows + (between_raters - error) / n))


def agreement(ratings: pd.DataFrame) -> pd.DataFrame:
    """Per group of listeners who heard the same items: their number, ICC(2,1) and ICC(2,k) over all stimuli."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for listener, items in ratings.groupby("listener")["item"].unique().items():
        groups.setdefault(tuple(sorted(items)), []).append(str(listener))
    rows = []
    for items, listeners in groups.items():
        group = ratings[ratings["listener"].isin(listeners)]
        table = group.pivot(index=["item", "condition"], columns="listener", values="score").to_numpy()
        single, average = intraclass_correlation(table) if table.shape[1] > 1 else (float("nan"),) * 2
        rows.append({"items": len(items), "listeners": len(listeners), "icc_single": single, "icc_mean": average})
    return pd.DataFrame(rows)


def correlations(subjective: pd.DataFrame, objective: pd.DataFrame) -> pd.DataFrame:
    """Pearson's and Spearman's correlation of mean scores with each metric over stimuli.

    `subjective` has columns `item, condition, mean`; `objective` has `item, condition, metric, value`.
    """
    rows = []
    joined = objective.merge(subjective, on=["item", "condition"])
    for metric, group in joined.groupby("metric", sort=False):
        if len(group) < 3 or group["value"].nunique() < 2:
            continue
        pearson = scipy.stats.pearsonr(group["value"], group["mean"]).statistic
        spearman = scipy.stats.spearmanr(group["value"], group["mean"]).statistic
        rows.append({"metric": metric, "pearson": pearson, "spearman": spearman, "stimuli": len(group)})
    return pd.DataFrame(rows, columns=["metric", "pearson", "spearman", "stimuli"])
