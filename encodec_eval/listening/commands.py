"""The commands of listening tests."""

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from codec.errors import CodecError
from encodec_eval.listening.analysis import analyse
from encodec_eval.listening.manifest import FILE_NAME, Manifest, load_manifest
from encodec_eval.listening.ratings import CSV_COLUMNS, read_ratings, write_csv
from encodec_eval.listening.report import markdown_table, overall_table, write_report
from encodec_eval.listening.screening import SCREENS, incomplete
from encodec_eval.listening.simulate import FAULTS, default_truth, simulate
from encodec_eval.types import EvalError

logger = logging.getLogger(__name__)


def analyze_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", nargs="+", type=Path, help=f"CSV files with the columns {', '.join(CSV_COLUMNS)}")
    parser.add_argument("--manifest", type=Path, help=f"the test's {FILE_NAME} or folder (default: found near the CSV)")
    parser.add_argument(
        "--preset", choices=sorted(SCREENS), help="post-screening rule (default: the test's own, bs1534)"
    )
    parser.add_argument("--out", type=Path, default=Path("analysis"), help="folder to write to (default: %(default)s)")
    parser.set_defaults(run=analyze)


def analyze(arguments: argparse.Namespace) -> None:
    manifest = _find_manifest(arguments)
    ratings = read_ratings(arguments.results, manifest)
    preset = arguments.preset or (manifest.preset if manifest else "bs1534")
    dropped = incomplete(ratings, manifest) if manifest else []
    finished = ratings[~ratings["listener"].isin([each.listener for each in dropped])]
    dropped += SCREENS[preset](finished) if len(finished) else []
    kept = ratings["listener"].nunique() - len(dropped)
    if kept < 2:
        raise EvalError(
            f"{kept} of {ratings['listener'].nunique()} listeners are left after post-screening; 2 are needed"
        )
    analysis = analyse(ratings, manifest, preset, dropped)
    write_report(analysis, arguments.out)
    print(f"{analysis.title}: {analysis.note}\n")
    print(markdown_table(overall_table(analysis)))
    for each in dropped:
        print(f"dropped {each.listener}: {each.reason}")
    print(f"\nwritten to {arguments.out}")


def _find_manifest(arguments: argparse.Namespace) -> Manifest | None:
    if arguments.manifest:
        return load_manifest(arguments.manifest)
    for folder in [parent for path in arguments.results for parent in path.resolve().parents[:2]]:
        if (folder / FILE_NAME).is_file():
            return load_manifest(folder)
    logger.warning(
        "no %s near the results: stimuli are taken as conditions, and completeness is not checked", FILE_NAME
    )
    return None


def simulate_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("test", type=Path, help="folder of a test, or its manifest")
    parser.add_argument("--listeners", type=int, default=20)
    parser.add_argument("--faulty", type=int, default=0, help=f"how many of them are unreliable ({', '.join(FAULTS)})")
    parser.add_argument("--noise", type=float, default=8, help="standard deviation of one score (default: %(default)s)")
    parser.add_argument("--truth", type=Path, help="JSON file: true score of each condition (default: evenly spread)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("simulated.csv"))
    parser.set_defaults(run=simulate_command)


def simulate_command(arguments: argparse.Namespace) -> None:
    manifest = load_manifest(arguments.test)
    truth = _read_truth(arguments.truth, manifest) if arguments.truth else default_truth(manifest.conditions)
    rows = simulate(manifest, arguments.listeners, arguments.faulty, arguments.seed, arguments.noise, truth)
    write_csv(arguments.out, rows)
    print(f"{len(rows)} INVENTED ratings of {arguments.listeners} simulated listeners written to {arguments.out}")


def _read_truth(path: Path, manifest: Manifest) -> dict[str, float]:
    try:
        truth = json.loads(path.read_text(encoding="utf-8"))
        scores = {name: float(truth[name]) for name in manifest.conditions}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EvalError(f"{path} does not give a score to each of {', '.join(manifest.conditions)}: {error}") from error
    wrong = {name: score for name, score in scores.items() if not 0 <= score <= 100}
    if wrong:
        raise EvalError(f"{path} gives {wrong}; allowed are scores from 0 to 100")
    return scores


PARSERS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "analyze": (analyze_parser, "results -> post-screening, statistics, tables and figures"),
    "simulate": (simulate_parser, "invent listeners with known true scores, to test an analysis"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """`python -m encodec_eval mushra ...`: ends the process with code 2 and one line on bad input."""
    parser = argparse.ArgumentParser(prog="python -m encodec_eval mushra", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (add, text) in PARSERS.items():
        add(commands.add_parser(name, help=text, description=text))
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except (EvalError, CodecError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
