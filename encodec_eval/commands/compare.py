"""Paired differences between two runs over the same clips: two checkpoints, or two versions."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from encodec_eval import stats
from encodec_eval.report import tables
from encodec_eval.report.results import Results, difference_row, load
from encodec_eval.types import EvalError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_a", type=Path, help="folder of a run")
    parser.add_argument("run_b", type=Path, help="folder of the run it is compared with")
    parser.add_argument("--csv", type=Path, help="also write the differences to this file")


def main(arguments: argparse.Namespace) -> int:
    a, b = load(arguments.run_a), load(arguments.run_b)
    frame = compare(a, b)
    if arguments.csv:
        frame.to_csv(arguments.csv, index=False, float_format="%.6g")
    print(f"{b.folder} minus {a.folder}, {len(common_clips(a, b))} clips of {a.set_name}\n")
    print(tables.markdown(tables.difference_table(frame, a.measures)))
    print(a.interval_note)
    return 0


def compare(a: Results, b: Results) -> pd.DataFrame:
    """How much `b` exceeds `a`, clip by clip, in every metric both have, for each pair of points.

    Points are paired by name; where no name is in both, in order if both runs have as many. Columns as those of
    `results.differences`. Holm's correction is over the points of each metric.
    Raises `EvalError` if clips, metrics or points cannot be paired.
    """
    clips = common_clips(a, b)
    metrics = [metric for metric in a.quality_metrics if metric in b.quality_metrics]
    if not metrics:
        raise EvalError(f"{a.folder} and {b.folder} have no audio metric in common")
    groups = [group for clip, group in zip(a.clips.id, a.groups, strict=True) if clip in clips]
    rows = []
    for metric in metrics:
        left, right = (run.table(metric).loc[clips] for run in (a, b))
        pairs = paired_points(a, b)
        found = [stats.paired_difference(right[theirs], left[ours], groups) for ours, theirs in pairs]
        adjusted = stats.holm(np.array([each.p for each in found]))
        for (ours, theirs), each, p_holm in zip(pairs, found, adjusted, strict=True):
            name = ours if ours == theirs else f"{theirs} - {ours}"
            rows.append(difference_row(name, metric, each, p_holm))
    return pd.DataFrame(rows)


def common_clips(a: Results, b: Results) -> list[str]:
    """The clips of both runs, in the order of the first. Raises `EvalError` if the two lists of files differ."""
    hashes = [run.config["settings"]["file_list_sha256"] for run in (a, b)]
    if hashes[0] != hashes[1]:
        raise EvalError(
            f"{a.folder} and {b.folder} are of different clips ({a.set_name}, {b.set_name}; file lists differ)"
        )
    return list(a.clips.id)


def paired_points(a: Results, b: Results) -> list[tuple[str, str]]:
    """Operating points of the two runs that belong together."""
    ours, theirs = list(a.points.name), list(b.points.name)
    common = [name for name in ours if name in theirs]
    if common:
        return [(name, name) for name in common]
    if len(ours) != len(theirs):
        raise EvalError(f"no point is in both runs, and they have {len(ours)} and {len(theirs)}: they cannot be paired")
    return list(zip(ours, theirs, strict=True))
