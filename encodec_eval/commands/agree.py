"""How well each metric of a run follows listeners, by ITU-T P.1401."""

import argparse
from pathlib import Path

from encodec_eval.agreement import ratings, report, tables
from encodec_eval.mushra.analysis.report import INVENTED
from encodec_eval.report.results import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a run over the clips that were rated")
    parser.add_argument("ratings", type=Path, help=ratings.EXPECTED.removeprefix("expected "))
    parser.add_argument("--manifest", type=Path, help="manifest.json of the listening test (default: near RATINGS)")
    parser.add_argument("--out", type=Path, help="folder to write to (default: agreement/ in that of the run)")


def main(arguments: argparse.Namespace) -> int:
    results = load(arguments.run)
    points = list(results.points.name)
    rated = ratings.read(arguments.ratings, arguments.manifest, list(results.clips.id), points)
    joined = tables.joined(results, rated)
    folder = arguments.out or arguments.run / "agreement"
    found, pairs = tables.agreement(joined), tables.comparisons(joined)
    text = report.write(results, joined, found, pairs, rated.simulated, folder)
    clips, conditions = rated.by_clip["clip"].nunique(), rated.by_condition["condition"].nunique()
    print(f"{results.set_name}: ratings of {clips} clips and {conditions} conditions\n")
    print(f"{INVENTED}\n\n" if rated.simulated else "", text, f"\n{folder}/report.md", sep="")
    return 0
