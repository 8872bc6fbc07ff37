"""ABX: who hears a difference? Exact binomial tests against guessing."""

import pandas as pd
import scipy.stats

from encodec_eval.stats import holm


def binomial(right: int, trials: int) -> tuple[float, float, float]:
    """p of as many right answers or more by guessing (exact, one-sided), and the Clopper-Pearson 95 % interval of the
    share."""
    test = scipy.stats.binomtest(right, trials, 0.5, alternative="greater")
    interval = scipy.stats.binomtest(right, trials).proportion_ci(0.95, method="exact")
    return float(test.pvalue), float(interval.low), float(interval.high)


def identified(judgements: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows `listener, condition, score` (1 right, 0 wrong) -> per group of `by`: right answers, trials, their share
    with its interval, p, and Holm's p over all groups."""
    rows = []
    for key, group in judgements.groupby(by):
        right, trials = int(group["score"].sum()), len(group)
        p, low, high = binomial(right, trials)
        share = {"right": right, "trials": trials, "share": right / trials, "low": low, "high": high, "p": p}
        rows.append(dict(zip(by, key, strict=True)) | share)
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"].to_numpy()))
