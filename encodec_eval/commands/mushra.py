"""Make a listening test after ITU-R BS.1534 (MUSHRA) from systems and recordings, hold it, and analyse it."""

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from encodec_eval import selection, systems
from encodec_eval.listening.crowd import options
from encodec_eval.mushra.analysis.analyse import analyse
from encodec_eval.mushra.analysis.ratings import read_ratings, write_csv
from encodec_eval.mushra.analysis.report import overall_table, write_report
from encodec_eval.mushra.analysis.screening import SCREENS, incomplete
from encodec_eval.mushra.analysis.simulate import FAULTS, default_truth, simulate
from encodec_eval.mushra.make import Design, make_test
from encodec_eval.mushra.manifest import FILE_NAME, Manifest, load_manifest
from encodec_eval.mushra.stimuli import PRESETS
from encodec_eval.mushra.webmushra import export
from encodec_eval.report.tables import markdown
from encodec_eval.systems import Encodec
from encodec_eval.types import EvalError

logger = logging.getLogger(__name__)

MOST_BANDWIDTHS = 4  # of each EnCodec model, from the lowest, unless the user names them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    selection.add_options(parser)
    parser.add_argument("--items", type=int, help="how many recordings (default: the preset's)")
    parser.add_argument("--duration", type=float, metavar="S", help="their length in seconds (default: the preset's)")
    parser.add_argument(
        "--preset", choices=sorted(PRESETS), default="bs1534", help="kind of test (default: %(default)s)"
    )
    parser.add_argument("--forms", type=int, default=1, help="deal the items to this many groups of listeners")
    systems.add_options(parser, default=("encodec", "opus"))
    parser.add_argument("--title", help="heading that listeners see")
    parser.add_argument("--seed", type=int, default=0, help="of random choices and file names (default: 0)")
    parser.add_argument("--force", action="store_true", help="allow what BS.1534-3 does not")
    parser.add_argument("--out", type=Path, default=Path("listening_test"), help="folder (default: %(default)s)")
    options.add_options(parser)
    parser.set_defaults(run=make, opus_kbps=[12.0])
    commands = parser.add_subparsers(metavar="serve | analyze | simulate | export | webmushra")
    for name, (add, text) in PARSERS.items():
        add(commands.add_parser(name, help=text, description=text))


def main(arguments: argparse.Namespace) -> int:
    arguments.run(arguments)
    return 0


def design_of(arguments: argparse.Namespace) -> Design:
    """The test that the options ask for, of any method; a preset is MUSHRA's own."""
    clip_set = selection.select(arguments)
    built = systems.build(arguments, clip_set.clips)
    if arguments.bandwidths is None:
        built = [each.lowest(MOST_BANDWIDTHS) if isinstance(each, Encodec) else each for each in built]
    return Design(
        clip_set=clip_set,
        systems=built,
        items=arguments.items,
        duration_s=arguments.duration,
        forms=arguments.forms,
        seed=arguments.seed,
        title=arguments.title,
        force=arguments.force,
    )


def make(arguments: argparse.Namespace) -> None:
    design = replace(design_of(arguments), preset=arguments.preset)
    settings = options.settings_of(arguments)
    manifest = make_test(design, arguments.out)
    options.finish(arguments, settings, arguments.out)
    print(f"{len(manifest.items)} items of {', '.join(manifest.conditions)}")
    print(f"for listeners: {arguments.out / 'page' / 'index.html'}; keep from them: {arguments.out / FILE_NAME}")


def webmushra_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("test", type=Path, help="folder of a test")
    parser.add_argument("--out", type=Path, default=Path("webmushra"), help="folder (default: %(default)s)")
    parser.set_defaults(run=webmushra)


def webmushra(arguments: argparse.Namespace) -> None:
    for path in export(load_manifest(arguments.test), arguments.test, arguments.out):
        print(f"{path}: open webMUSHRA with ?config={path.name}")


def analyze_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", nargs="+", type=Path, help="CSV files with webMUSHRA's columns, or folders of them")
    parser.add_argument("--manifest", type=Path, help=f"the test's {FILE_NAME} or folder (default: found near the CSV)")
    parser.add_argument(
        "--preset", choices=sorted(SCREENS), help="post-screening rule (default: the test's own, bs1534)"
    )
    parser.add_argument("--out", type=Path, default=Path("analysis"), help="folder to write to (default: %(default)s)")
    parser.set_defaults(run=analyze)


def analyze(arguments: argparse.Namespace) -> None:
    manifest = _find_manifest(arguments)
    ratings = read_ratings(result_files(arguments.results), manifest)
    if manifest is None:
        logger.warning("no %s: completeness is not checked; --manifest names one", FILE_NAME)
    preset = arguments.preset or (manifest.preset if manifest else "bs1534")
    dropped = incomplete(ratings, manifest) if manifest else []
    finished = ratings[~ratings["listener"].isin([each.listener for each in dropped])]
    dropped += SCREENS[preset](finished) if len(finished) else []
    kept = ratings["listener"].nunique() - len(dropped)
    if kept < 2:
        raise EvalError(
            f"{kept} of {ratings['listener'].nunique()} listeners are left after post-screening; expected at least 2"
        )
    analysis = analyse(ratings, manifest, preset, dropped)
    write_report(analysis, arguments.out)
    print(f"{analysis.title}: {analysis.note}\n")
    print(markdown(overall_table(analysis)))
    for each in dropped:
        print(f"dropped {each.listener}: {each.reason}")
    print(f"\nwritten to {arguments.out}")


def result_files(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths, and every CSV file of the folders among them."""
    return [file for path in paths for file in (sorted(path.glob("*.csv")) if path.is_dir() else [path])]


def _find_manifest(arguments: argparse.Namespace) -> Manifest | None:
    if arguments.manifest:
        return load_manifest(arguments.manifest)
    for folder in [parent for path in arguments.results for parent in (path.resolve(), *path.resolve().parents[:2])]:
        if (folder / FILE_NAME).is_file():
            return load_manifest(folder)
    return None


def simulate_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("test", type=Path, help="folder of a test, or its manifest")
    parser.add_argument("--listeners", type=int, default=20)
    parser.add_argument("--faulty", type=int, default=0, help=f"how many of them are unreliable ({', '.join(FAULTS)})")
    parser.add_argument("--noise", type=float, default=8, help="standard deviation of one score (default: %(default)s)")
    parser.add_argument("--truth", type=Path, help="JSON file: true score of each condition (default: evenly spread)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file (default: simulated.csv in the test's folder)")
    parser.set_defaults(run=simulate_listeners)


def simulate_listeners(arguments: argparse.Namespace) -> None:
    manifest = load_manifest(arguments.test)
    truth = read_truth(arguments.truth, manifest) if arguments.truth else default_truth(manifest.conditions)
    rows = simulate(manifest, arguments.listeners, arguments.faulty, arguments.seed, arguments.noise, truth)
    folder = arguments.test if arguments.test.is_dir() else arguments.test.parent
    out = arguments.out or folder / "simulated.csv"  # beside the real results, not among them
    write_csv(out, rows)
    print(f"{len(rows)} INVENTED ratings of {arguments.listeners} simulated listeners written to {out}")


def read_truth(path: Path, manifest: Manifest) -> dict[str, float]:
    try:
        truth = json.loads(path.read_text(encoding="utf-8"))
        scores = {name: float(truth[name]) for name in manifest.conditions}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EvalError(f"{path} does not give a score to each of {', '.join(manifest.conditions)}: {error}") from error
    wrong = {name: score for name, score in scores.items() if not 0 <= score <= 100}
    if wrong:
        raise EvalError(f"{path} gives {wrong}; expected scores from 0 to 100")
    return scores


PARSERS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "serve": (options.serve_parser, "Serve a test to listeners and collect their answers"),
    "analyze": (analyze_parser, "Screen listeners, and write statistics, tables and figures"),
    "simulate": (simulate_parser, "Invent listeners with known true scores, to try the analysis"),
    "export": (options.export_parser, "Write every answer so far, with what is known of its listener, as one table"),
    "webmushra": (webmushra_parser, "Write the test for webMUSHRA"),
}
