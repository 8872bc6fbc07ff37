"""A run and ratings -> how well each metric follows the listeners, and where two metrics differ."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from encodec_eval.agreement import measures
from encodec_eval.agreement.measures import Mapping, Value
from encodec_eval.agreement.ratings import Ratings
from encodec_eval.report.results import Results, records
from encodec_eval.stats import holm
from encodec_eval.types import EvalError

FEWEST = 4  # points that a correlation with an interval needs


@dataclass(frozen=True)
class Points:
    """A metric beside the ratings: `condition score mean ci95`, a row a clip and condition, or a condition. `score`
    is turned round where lower is better."""

    level: str
    metric: str
    rows: pd.DataFrame
    mapping: Mapping

    @property
    def errors(self) -> measures.Floats:
        predicted = self.mapping(self.rows["score"].to_numpy(dtype=np.float64))
        return np.asarray(predicted - self.rows["mean"].to_numpy(dtype=np.float64))


def joined(results: Results, ratings: Ratings) -> list[Points]:
    """Every quality metric of a run beside the ratings, by clip and by condition.

    Scores by condition are means over the clips that were rated. Raises `EvalError` if no metric has enough points.
    """
    found = []
    for metric in results.quality_metrics:
        sign = 1.0 if results.measures[metric].higher_is_better else -1.0
        table = results.table(metric)
        scores = [table.loc[row.clip, row.condition] for row in records(ratings.by_clip)]
        by_clip = ratings.by_clip.assign(score=sign * np.array(scores, dtype=np.float64)).dropna(subset=["score"])
        means = by_clip.groupby("condition", sort=False)["score"].mean()
        by_condition = ratings.by_condition.assign(score=ratings.by_condition["condition"].map(means))
        for level, rows in (("clip", by_clip), ("condition", by_condition.dropna(subset=["score"]))):
            if len(rows) >= FEWEST and rows["score"].nunique() > 1:
                mapping = measures.fit(rows["score"].to_numpy(), rows["mean"].to_numpy())
                found.append(Points(level, metric, rows, mapping))
    if not found:
        raise EvalError(f"no metric has scores at {FEWEST} rated points or more")
    return found


def agreement(points: list[Points]) -> pd.DataFrame:
    """One row for each level and metric: `level metric points order`, and each measure with its `_low` and `_high`."""
    rows = []
    for each in points:
        score, mean, ci95 = (each.rows[name].to_numpy(dtype=np.float64) for name in ("score", "mean", "ci95"))
        freedom = len(each.mapping.coefficients)
        row: dict[str, object] = {"level": each.level, "metric": each.metric, "points": len(score)}
        row["order"] = each.mapping.order
        values = {name: correlation(score, mean) for name, correlation in measures.CORRELATIONS.items()}
        values["rmse"] = measures.rmse(each.errors, freedom)
        known = np.isfinite(ci95).all()
        values["rmse*"] = Value(measures.insensitive_rmse(each.errors, ci95, freedom) if known else np.nan)
        values["outlier ratio"] = measures.outlier_ratio(each.errors, ci95) if known else Value(np.nan)
        for name, value in values.items():
            row |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
        rows.append(row)
    return pd.DataFrame(rows)


def comparisons(points: list[Points]) -> pd.DataFrame:
    """Every two metrics of a level over the points that both have: `level first second points r_first r_second z p
    p_holm`. Holm's correction is over the pairs of a level."""
    rows = []
    for first, second in combinations(points, 2):
        if first.level != second.level:
            continue
        keys = ["clip", "condition"] if first.level == "clip" else ["condition"]
        both = first.rows.merge(second.rows[[*keys, "score"]], on=keys, suffixes=("", "_second"))
        if len(both) < FEWEST or both["score"].nunique() < 2 or both["score_second"].nunique() < 2:
            continue
        r = both[["score", "score_second", "mean"]].corr().to_numpy()
        z, p = measures.compare_correlations(r[0, 2], r[1, 2], r[0, 1], len(both))
        names = {"level": first.level, "first": first.metric, "second": second.metric, "points": len(both)}
        rows.append(names | {"r_first": r[0, 2], "r_second": r[1, 2], "z": z, "p": p})
    table = pd.DataFrame(rows, columns=["level", "first", "second", "points", "r_first", "r_second", "z", "p"])
    adjusted = [holm(part["p"].to_numpy()) for _, part in table.groupby("level", sort=False)]
    return table.assign(p_holm=np.concatenate(adjusted) if adjusted else [])
