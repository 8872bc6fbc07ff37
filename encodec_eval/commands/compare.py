"""Paired differences between runs over the same clips, as tables, a figure and model cards; and a leaderboard."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from codec.files import write_atomically
from encodec_eval.files import safe_name
from encodec_eval.report import tables
from encodec_eval.report.card import model_card
from encodec_eval.report.comparison import NOTE, common_clips, compare, comparison_table, means_table
from encodec_eval.report.folder import FLOATS
from encodec_eval.report.forest import write_forest
from encodec_eval.report.leaderboard import write_leaderboard
from encodec_eval.report.results import Results, load
from encodec_eval.types import EvalError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("runs", type=Path, nargs="*", metavar="RUN", help="folders of runs; the others are compared with the first")
    add("--reference", metavar="POINT", help="compare every point of every run with this one instead")
    add("--csv", type=Path, help="also write the differences to this file")
    add(
        "--out",
        type=Path,
        help="write tables, a forest plot and model cards to this folder, or the leaderboard",
    )
    add("--leaderboard", type=Path, metavar="FOLDER", help="write one page of all runs under this folder")


def main(arguments: argparse.Namespace) -> int:
    if arguments.leaderboard:
        if arguments.runs:
            raise EvalError("--leaderboard takes the runs under its FOLDER; name no others")
        page = write_leaderboard(arguments.leaderboard, arguments.out or arguments.leaderboard / "leaderboard")
        print(page)
        return 0
    if not arguments.runs:
        raise EvalError("no run was given; expected folders of runs, or --leaderboard FOLDER")
    runs = [load(folder) for folder in arguments.runs]
    frame = compare(*runs, reference=arguments.reference)
    if arguments.csv:
        frame.to_csv(arguments.csv, index=False, float_format=FLOATS)
    print(f"{title(runs, arguments.reference)}\n")
    print(tables.markdown(comparison_table(frame, runs[0])))
    print(runs[0].interval_note)
    if arguments.out:
        write(runs, arguments.reference, arguments.out)
        print(f"\n{arguments.out}/comparison.md, comparison.csv, comparison.tex, forest.png, cards/")
    return 0


def title(runs: Sequence[Results], reference: str | None) -> str:
    """What is compared with what."""
    of = f"{len(common_clips(runs))} clips of {runs[0].set_name}"
    if reference:
        return f"{', '.join(str(run.folder) for run in runs)}: every point minus {reference}, {of}"
    return f"{', '.join(str(run.folder) for run in runs[1:])} minus {runs[0].folder}, {of}"


def write(runs: Sequence[Results], reference: str | None, folder: Path) -> None:
    """Everything that a comparison has to show, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = compare(*runs, reference=reference)
    means, differences = means_table(runs), comparison_table(frame, runs[0])
    frame.to_csv(folder / "comparison.csv", index=False, float_format=FLOATS)
    write_forest(frame, runs[0], folder / "forest")
    heading, note = title(runs, reference), f"{NOTE} {runs[0].interval_note}"
    parts = [f"# {heading}\n", "## Results\n", tables.markdown(means), "## Paired differences\n", f"{note}\n"]
    parts += [tables.markdown(differences), "![forest](forest.png)\n"]
    write_atomically(folder / "comparison.md", "\n".join(parts))
    latex = [
        tables.latex(tables.quality_table(means), f"Quality, {runs[0].set_name}. {runs[0].interval_note}", "tab:means"),
        tables.latex(tables.cost_table(means), f"Rates and speed, {runs[0].set_name}.", "tab:cost"),
        tables.latex(differences, f"Paired differences. {note}", "tab:differences"),
    ]
    write_atomically(folder / "comparison.tex", "% \\usepackage{booktabs}\n" + "\n".join(latex))
    (folder / "cards").mkdir(exist_ok=True)
    for run in runs:
        for series in run.points.series.unique():
            write_atomically(folder / "cards" / f"{safe_name(series)}.md", model_card(run, series))
