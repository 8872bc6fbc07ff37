"""The scores of a run by clip and point, for whoever wants to look at single clips."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from encodec_eval.report.frame import positions
from encodec_eval.report.results import Results


def per_clip(results: Results) -> pd.DataFrame:
    """One row for each clip and point, one column for each metric, and the reasons for what has no value."""
    clips, points = results.clips, results.points.name.to_numpy()
    wide = {"clip": np.repeat(clips.id.to_numpy(), len(points)), "point": np.tile(points, len(clips))}
    wide |= {metric: results.table(metric).to_numpy().ravel() for metric in results.metrics}
    wide["reasons"] = joined_reasons(results)
    wide |= {name: np.repeat(clips[name].to_numpy(), len(points)) for name in ("speaker", "seconds")}
    return pd.DataFrame(wide)


def joined_reasons(results: Results) -> NDArray[np.object_]:
    """Why metrics have no value, for each clip and point in the order of the run; `""` where all have one.

    Rows with the same reasons share one text: there may be millions of rows.
    """
    failed = results.scores[results.scores.value.isna()]
    points = list(results.points.name)
    row = positions(failed["clip"], list(results.clips.id)).astype(np.int64) * len(points) + positions(
        failed["point"], points
    )
    why = pd.Categorical(failed["reason"])
    of_metric = positions(failed["metric"], results.metrics)
    texts, number = [""], np.zeros(len(results.clips) * len(points), dtype=np.int64)
    for n, metric in enumerate(results.metrics):
        here = of_metric == n
        added = np.zeros(len(number), dtype=np.int64)
        added[row[here]] = 1 + why.codes[here]
        number, pairs = pd.factorize(number * (1 + len(why.categories)) + added)
        before, reason = np.divmod(pairs, 1 + len(why.categories))
        texts = [
            "; ".join(filter(None, [texts[b], r and f"{metric}: {why.categories[r - 1]}"]))
            for b, r in zip(before, reason, strict=True)
        ]
    return np.array(texts, dtype=object)[number]
