"""Runs over the same clips side by side: one table of means, and paired differences with their effect sizes."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from encodec_eval import stats
from encodec_eval.report import tables
from encodec_eval.report.results import Results, difference_row, records, summarize
from encodec_eval.types import EvalError

Pair = tuple[str, Results, str, Results, str]  # label, run and point, run and point that it is compared with
NOTE = (
    "Mean of the difference, clip by clip, with its interval; p from the t of that interval, corrected after Holm over "
    "all rows of a metric. d: the mean difference by the standard deviation of the differences (Cohen's d_z). Better "
    "on: the share of clips, ties counted half."
)


def compare(*runs: Results, reference: str | None = None) -> pd.DataFrame:
    """How much later runs exceed the first one, clip by clip, in every metric that all have.

    With a `reference`, the first point of that name, every other point of every run is compared with it. Without one,
    points of each run are paired with those of the first by name; where no name is in both, in order if both have as
    many. One row for each pair and metric: the columns of `results.differences`, and `effect_size` (Cohen's d_z) and
    `share_above`, the share of clips with a larger value. Holm's correction is over all pairs, metric by metric.
    Raises `EvalError` if clips, metrics or points cannot be paired.
    """
    clips = common_clips(runs)
    metrics = common_metrics(runs)
    pairs = pairs_with(runs, reference) if reference else pairs_by_name(runs)
    rows = []
    for metric in metrics:
        values = {id(run): run.table(metric).loc[clips] for run in runs}
        columns = [(values[id(run)][point], values[id(base)][other]) for _, run, point, base, other in pairs]
        groups, weights = runs[0].groups, runs[0].weights(metric)
        found = [stats.paired_difference(ours, theirs, groups, weights) for ours, theirs in columns]
        adjusted = stats.holm([each.p for each in found])
        for (label, *_), (ours, theirs), each, p_holm in zip(pairs, columns, found, adjusted, strict=True):
            effect, above = stats.effect_size(ours, theirs)
            row = difference_row(label, metric, each, float(p_holm))
            rows.append(row | {"effect_size": effect, "share_above": above})
    return pd.DataFrame(rows)


def common_metrics(runs: Sequence[Results]) -> list[str]:
    """The audio metrics of all runs, in the order of the first. Raises `EvalError` if there is none."""
    metrics = [name for name in runs[0].quality_metrics if all(name in run.quality_metrics for run in runs)]
    if not metrics:
        raise EvalError(f"{', '.join(str(run.folder) for run in runs)} have no audio metric in common")
    return metrics


def common_clips(runs: Sequence[Results]) -> list[str]:
    """The clips of all runs, in the order of the first. Raises `EvalError` if their lists of files differ."""
    first = runs[0]
    for run in runs[1:]:
        if run.config["settings"]["file_list_sha256"] != first.config["settings"]["file_list_sha256"]:
            raise EvalError(
                f"{first.folder} and {run.folder} are of different clips ({first.set_name}, {run.set_name}; file lists "
                "differ)"
            )
    return list(first.clips.id)


def pairs_by_name(runs: Sequence[Results]) -> list[Pair]:
    """The points of later runs with those of the first that they belong to. Raises `EvalError` if there are none."""
    first, *others = runs
    if not others:
        raise EvalError("one run alone is compared with one of its points: name it with --reference")
    names = run_names(runs)
    found: list[Pair] = []
    for run, name in zip(others, names[1:], strict=True):
        ours, theirs = list(first.points.name), list(run.points.name)
        common = [(point, point) for point in ours if point in theirs]
        if not common and len(ours) != len(theirs):
            raise EvalError(
                f"no point is in both runs, and they have {len(ours)} and {len(theirs)}: they cannot be paired; "
                "--reference POINT compares all with one"
            )
        for base, point in common or zip(ours, theirs, strict=True):
            label = point if base == point else f"{point} - {base}"
            found.append((label if len(others) == 1 else f"{name}: {label}", run, point, first, base))
    return found


def pairs_with(runs: Sequence[Results], reference: str) -> list[Pair]:
    """Every point of every run with the first of the name `reference`. Raises `EvalError` if there is none."""
    labels = labelled_points(runs)
    base = next((place for place in labels if place[1] == reference), None)
    if base is None:
        names = dict.fromkeys(point for _, point in labels)
        raise EvalError(f"no point {reference!r} in these runs; expected {', '.join(names)}")
    places = [place for place in labels if place != base]
    return [(labels[place], runs[place[0]], place[1], runs[base[0]], reference) for place in places]


def labelled_points(runs: Sequence[Results]) -> dict[tuple[int, str], str]:
    """Every point, by the place of its run and its name; behind the run's name where several runs have that point."""
    counts = Counter(point for run in runs for point in run.points.name)
    names = run_names(runs)
    return {
        (n, point): point if counts[point] == 1 else f"{names[n]}: {point}"
        for n, run in enumerate(runs)
        for point in run.points.name
    }


def run_names(runs: Sequence[Results]) -> list[str]:
    """The names of the runs' folders, or their whole paths where two have one name."""
    names = [run.folder.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def means_table(runs: Sequence[Results]) -> pd.DataFrame:
    """The main tables of all runs as one: one row an operating point."""
    labels = list(labelled_points(runs).values())
    table = pd.concat([tables.main_table(run, summarize(run)) for run in runs], ignore_index=True).fillna("-")
    ordered = [name for name in table if name != "scored"] + ["scored"]
    return table[ordered].assign(point=labels)


def comparison_table(differences: pd.DataFrame, run: Results) -> pd.DataFrame:
    """What `compare` found as text."""
    table = tables.difference_table(differences, run.measures)
    effects, shares = [], []
    for row in records(differences):
        better = run.measures[row.metric].higher_is_better
        share = row.share_above if better or better is None else 1 - row.share_above
        effects.append(tables.number(row.effect_size, 2))
        shares.append("-" if better is None or share != share else f"{100 * share:.0f} %")
    table.insert(3, "d", effects)
    table.insert(4, "better on", shares)
    return table
