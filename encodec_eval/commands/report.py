"""Write the tables and plots of a run again, from its scores."""

import argparse
from pathlib import Path

from encodec_eval.report.folder import title, write_report
from encodec_eval.report.results import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--reference", metavar="POINT", help="compare every point with this one, clip by clip")
    parser.add_argument("--partial", action="store_true", help="accept a run that is not complete; its title says so")


def main(arguments: argparse.Namespace) -> int:
    results = load(arguments.run, arguments.partial)
    table = write_report(results, arguments.reference)
    print(f"{title(results)}\n\n{table}")
    return 0
