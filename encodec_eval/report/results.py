"""A run's files as data frames: scores by clip, and their summaries."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from encodec_eval import stats
from encodec_eval.report.frame import frame, positions
from encodec_eval.run.journal import SCORES, WAITING, read_columns
from encodec_eval.types import EvalError, Measure


def records(frame: pd.DataFrame) -> Iterable[Any]:
    """The rows of a data frame as named tuples."""
    return frame.itertuples(index=False)


@dataclass(frozen=True)
class Results:
    """A run as it is on disk.

    scores: one row for each clip, operating point and metric: `clip point metric value reason speaker
    seconds`, value NaN where there is none, names and reasons as categories. Complete runs only, unless partial ones
    were allowed: then `missing` says how many scores are not there. `waiting` counts the scores without a value that
    are for the next run of the command.
    """

    folder: Path
    config: dict[str, Any]
    scores: pd.DataFrame
    missing: int
    waiting: int = 0

    @property
    def set_name(self) -> str:
        return str(self.config["settings"]["set"])

    @cached_property
    def points(self) -> pd.DataFrame:
        """`name series nominal_kbps`, in the order of the run."""
        return pd.DataFrame(self.config["points"])

    @cached_property
    def clips(self) -> pd.DataFrame:
        """`id speaker seconds`, in the order of the run."""
        return pd.DataFrame(self.config["clips"])

    @property
    def domains(self) -> list[str]:
        """What kinds of sound the clips are, in the order of the run; empty for a clip of which nobody said it."""
        return list(dict.fromkeys(each.get("domain", "") for each in self.config["clips"]))

    def of_domain(self, domain: str) -> "Results":
        """The clips of one domain alone, as if they were the run; its set is named by the domain."""
        clips = [each for each in self.config["clips"] if each.get("domain", "") == domain]
        settings = self.config["settings"] | {"set": domain or "unlabelled"}
        scores = self.scores[self.scores["clip"].isin([each["id"] for each in clips])]
        return replace(self, config=self.config | {"clips": clips, "settings": settings}, scores=scores)

    @property
    def skipped(self) -> pd.DataFrame:
        """`file reason` of the files of the set that are not clips."""
        return pd.DataFrame(self.config.get("skipped", []), columns=["file", "reason"])

    @property
    def metrics(self) -> list[str]:
        return list(self.config["settings"]["metrics"])

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """What the metrics of this run are, in its order."""
        known = {each["name"]: Measure(**each) for each in self.config.get("metrics", [])}
        if not known:  # a run of a version that did not write this
            from encodec_eval.metrics import METRICS

            known.update(METRICS)
        if unknown := set(self.metrics) - known.keys():
            raise EvalError(f"{self.folder} has metrics this version does not know: {', '.join(sorted(unknown))}")
        return {name: known[name] for name in self.metrics}

    @property
    def quality_metrics(self) -> list[str]:
        """The metrics of this run that say how good the audio is."""
        return [name for name, measure in self.measures.items() if measure.kind == "pair"]

    @property
    def code_metrics(self) -> list[str]:
        """The metrics of this run that say how a system uses its codes."""
        return [name for name, measure in self.measures.items() if measure.kind == "codes"]

    def table(self, metric: str) -> pd.DataFrame:
        """Values `[clips, points]` of a metric, in the order of the run."""
        return pd.DataFrame(
            self._values[self.metrics.index(metric)],
            index=pd.Index(self.clips.id, name="clip"),
            columns=pd.Index(self.points.name, name="point"),
        )

    def weights(self, metric: str) -> pd.Series | None:
        """How much each clip weighs in means of a metric, the same at every point; None where all weigh the same."""
        name = self.measures[metric].weight
        return self.table(name).max(axis=1) if name else None

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        """All values `[metrics, clips, points]` in the order of the run, NaN where there is none."""
        orders = {"metric": self.metrics, "clip": list(self.clips.id), "point": list(self.points.name)}
        places = [positions(self.scores[name], order) for name, order in orders.items()]
        known = np.all([place >= 0 for place in places], axis=0)
        values = np.full([len(order) for order in orders.values()], np.nan)
        values[tuple(place[known] for place in places)] = self.scores.value[known]
        return values

    @cached_property
    def groups(self) -> list[str]:
        """The speaker of each clip; a clip without one is a group of its own."""
        return [each["speaker"] or f"clip {each['id']}" for each in self.config["clips"]]

    @cached_property
    def grouping(self) -> stats.Groups:
        """`groups` for `stats`."""
        return stats.Groups.of(self.groups)

    @property
    def interval_note(self) -> str:
        """What the intervals of this run are, in a sentence or two."""
        count = len(set(self.groups))
        if count < 2:
            return "No intervals: they need two speakers."
        note = f"95 % t intervals over {count} speakers (leave-one-out jackknife)."
        if any(each["speaker"] is None for each in self.config["clips"]):
            note += " A clip without a speaker counts as a speaker of its own."
        if count < stats.ROUGH_BELOW:
            note += f" With fewer than {stats.ROUGH_BELOW} speakers, intervals are rough."
        return note


def load(folder: Path, partial: bool = False) -> Results:
    """Read a run. Raises `EvalError` if there is none, or if scores are missing and `partial` is not set."""
    if not (folder / "config.json").is_file():
        raise EvalError(f"{folder} holds no run (no config.json)")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    scores, waiting = (frame(read_columns(folder / name), config) for name in (SCORES, WAITING))
    if len(waiting):
        keys = ["clip", "point", "metric"]
        waiting = waiting[~pd.MultiIndex.from_frame(waiting[keys]).isin(pd.MultiIndex.from_frame(scores[keys]))]
        rows = pd.concat([scores, waiting], ignore_index=True)
    else:
        rows = scores
    expected = len(config["clips"]) * len(config["points"]) * len(config["settings"]["metrics"])
    if len(rows) < expected and not (partial and len(rows)):
        raise EvalError(
            f"{folder} is incomplete: {len(rows)} of {expected} scores; run the same command again, or --partial"
        )
    return Results(folder, config, rows, expected - len(rows), len(waiting))


def summarize(results: Results) -> pd.DataFrame:
    """One row for each point and metric: `point series metric unit mean ci95_low ci95_high median n_scored n_total`.

    The interval is over speakers: see `stats.mean_interval`.
    """
    rows = []
    for metric in results.metrics:
        table = results.table(metric)
        for point in records(results.points):
            values = table[point.name].to_numpy()
            interval = stats.mean_interval(values, results.grouping, results.weights(metric))
            scored = int(np.isfinite(values).sum())
            rows.append(
                {
                    "point": point.name,
                    "series": point.series,
                    "metric": metric,
                    "unit": results.measures[metric].unit,
                    "mean": interval.mean,
                    "ci95_low": interval.low,
                    "ci95_high": interval.high,
                    "median": float(np.nanmedian(values)) if scored else np.nan,
                    "n_scored": scored,
                    "n_total": len(values),
                }
            )
    return pd.DataFrame(rows)


def differences(results: Results, reference: str) -> pd.DataFrame:
    """Each point against `reference`, clip by clip: `point metric difference ci95_low ci95_high p p_holm n_pairs`.

    Holm's correction is over the points, metric by metric. Raises `EvalError` for an unknown reference.
    """
    names = list(results.points.name)
    if reference not in names:
        raise EvalError(f"no point {reference!r} in {results.folder}; expected {', '.join(names)}")
    rows = []
    for metric in results.quality_metrics:
        table = results.table(metric)
        others = [name for name in names if name != reference]
        groups, weights = results.grouping, results.weights(metric)
        found = [stats.paired_difference(table[name], table[reference], groups, weights) for name in others]
        adjusted = stats.holm([each.p for each in found])
        for name, each, p_holm in zip(others, found, adjusted, strict=True):
            rows.append(difference_row(name, metric, each, p_holm))
    return pd.DataFrame(rows)


def difference_row(point: str, metric: str, difference: stats.Difference, p_holm: float) -> dict[str, object]:
    return {
        "point": point,
        "metric": metric,
        "difference": difference.mean,
        "ci95_low": difference.low,
        "ci95_high": difference.high,
        "p": difference.p,
        "p_holm": p_holm,
        "n_pairs": difference.n,
    }


def bjontegaard(results: Results, anchor: str) -> pd.DataFrame:
    """Each codec against the codec `anchor`: `series metric bd_rate_percent bd_rate_ci95_low bd_rate_ci95_high
    bd_quality bd_quality_ci95_low bd_quality_ci95_high`. Rates are of the payload.

    Empty if the anchor is not in the run.
    """
    curves = {series: list(rows.name) for series, rows in results.points.groupby("series", sort=False)}
    if anchor not in curves or "bitrate_payload" not in results.metrics:
        return pd.DataFrame()
    rate = results.table("bitrate_payload")
    rows = []
    for series, names in curves.items():
        if series == anchor or len(names) < 2 or rate[names].isna().all().any():
            continue
        for metric in results.quality_metrics:
            sign = 1 if results.measures[metric].higher_is_better else -1
            quality = sign * results.table(metric)
            ours, theirs = (rate[names], quality[names]), (rate[curves[anchor]], quality[curves[anchor]])
            delta = stats.bjontegaard_intervals(*ours, *theirs, results.grouping, results.weights(metric))
            ends = sorted([sign * delta.quality.low, sign * delta.quality.high])
            rows.append(
                {
                    "series": series,
                    "metric": metric,
                    "bd_rate_percent": delta.rate_percent.mean,
                    "bd_rate_ci95_low": delta.rate_percent.low,
                    "bd_rate_ci95_high": delta.rate_percent.high,
                    "bd_quality": sign * delta.quality.mean,
                    "bd_quality_ci95_low": ends[0],
                    "bd_quality_ci95_high": ends[1],
                }
            )
    return pd.DataFrame(rows)
