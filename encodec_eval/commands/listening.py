"""Make a listening test of another method than MUSHRA (ACR, DCR, CCR, AB, ABX, BS.1116), hold it, and analyse it."""

import argparse
from collections.abc import Callable
from pathlib import Path

from encodec_eval import selection, systems
from encodec_eval.commands.mushra import design_of, read_truth, result_files
from encodec_eval.listening.analysis.answers import read_answers
from encodec_eval.listening.analysis.report import write_report
from encodec_eval.listening.crowd import options
from encodec_eval.listening.make import DURATION_S, RECORDINGS, Choices, make_test
from encodec_eval.listening.methods import METHODS
from encodec_eval.listening.plan import ANSWERS, ITEMS, Spread, answers_needed, choice_plan, rating_plan
from encodec_eval.listening.simulate import FAULTS, simulate
from encodec_eval.mushra.analysis.ratings import CSV_COLUMNS, PLAYS, write_csv
from encodec_eval.mushra.manifest import FILE_NAME, load_manifest
from encodec_eval.report.tables import markdown
from encodec_eval.types import EvalError

OTHERS = [name for name in METHODS if name != "mushra"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    selection.add_options(parser)
    parser.add_argument("--method", choices=OTHERS, default="acr", help="what listeners do (default: %(default)s)")
    parser.add_argument("--items", type=int, help=f"how many recordings (default: {RECORDINGS})")
    parser.add_argument(
        "--duration", type=float, metavar="S", help=f"their length in seconds (default: {DURATION_S:g})"
    )
    parser.add_argument("--forms", type=int, default=1, help="deal the items to this many groups of listeners")
    parser.add_argument(
        "--trials", type=int, default=16, help="ABX: trials of each system, fixed (default: %(default)s)"
    )
    parser.add_argument("--gold", type=int, default=1, help="ACR, DCR, CCR: gold questions (default: %(default)s)")
    parser.add_argument("--traps", type=int, default=1, help="ACR, DCR: trapping questions (default: %(default)s)")
    systems.add_options(parser, default=("encodec", "opus"))
    parser.add_argument("--title", help="heading that listeners see")
    parser.add_argument("--seed", type=int, default=0, help="of random choices and file names (default: 0)")
    parser.add_argument("--force", action="store_true", help="allow more trials than listeners will sit through")
    parser.add_argument("--out", type=Path, default=Path("listening_test"), help="folder (default: %(default)s)")
    options.add_options(parser)
    parser.set_defaults(run=make, opus_kbps=[12.0])
    commands = parser.add_subparsers(metavar=" | ".join(PARSERS))
    for name, (add, text) in PARSERS.items():
        add(commands.add_parser(name, help=text, description=text))


def main(arguments: argparse.Namespace) -> int:
    arguments.run(arguments)
    return 0


def make(arguments: argparse.Namespace) -> None:
    design = design_of(arguments)
    choices = Choices(arguments.trials, arguments.gold, arguments.traps, arguments.per_listener)
    crowd = options.settings_of(arguments)
    manifest = make_test(design, arguments.method, choices, arguments.out)
    options.finish(arguments, crowd, arguments.out)
    print(f"{len(manifest.items)} trials of {', '.join(manifest.conditions)}")
    print(f"for listeners: {arguments.out / 'page' / 'index.html'}; keep from them: {arguments.out / FILE_NAME}")


def simulate_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("test", type=Path, help="folder of a test, or its manifest")
    parser.add_argument("--listeners", type=int, default=24)
    parser.add_argument("--faulty", type=int, default=0, help=f"how many of them are unreliable ({', '.join(FAULTS)})")
    parser.add_argument("--noise", type=float, default=8, help="standard deviation of one impression, of 100")
    parser.add_argument("--truth", type=Path, help="JSON file: true quality of each condition, 0 to 100")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file (default: simulated.csv in the test's folder)")
    parser.set_defaults(run=simulate_listeners)


def simulate_listeners(arguments: argparse.Namespace) -> None:
    manifest = load_manifest(arguments.test)
    truth = read_truth(arguments.truth, manifest) if arguments.truth else None
    rows = simulate(manifest, arguments.listeners, arguments.faulty, arguments.seed, arguments.noise, truth)
    folder = arguments.test if arguments.test.is_dir() else arguments.test.parent
    out = arguments.out or folder / "simulated.csv"  # beside the real results, not among them
    write_csv(out, rows, [*CSV_COLUMNS, PLAYS])
    print(f"{len(rows)} INVENTED answers of {arguments.listeners} simulated listeners written to {out}")


def analyze_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", nargs="+", type=Path, help="CSV files of answers, or folders of them")
    parser.add_argument("--manifest", type=Path, required=True, help=f"the test's {FILE_NAME} or folder")
    parser.add_argument("--out", type=Path, default=Path("analysis"), help="folder to write to (default: %(default)s)")
    parser.set_defaults(run=analyze)


def analyze(arguments: argparse.Namespace) -> None:
    manifest = load_manifest(arguments.manifest)
    table = write_report(read_answers(result_files(arguments.results), manifest), manifest, arguments.out)
    print(markdown(table.round(3)))
    print(f"\nwritten to {arguments.out}")


def plan_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", choices=sorted(METHODS), default="mushra", help="(default: %(default)s)")
    parser.add_argument("--effect", type=float, metavar="D", help="ratings: the difference to detect, in points")
    parser.add_argument("--sd", type=float, help="ratings: standard deviation of one listener's difference on one item")
    parser.add_argument("--share", type=float, help="AB: share of answers for the better system; ABX: of right ones")
    parser.add_argument("--listener-share", type=float, help="of that variance, the listener's own (default: 0.2)")
    parser.add_argument(
        "--item-share", type=float, default=0.1, help="of that variance, the item's own (default: %(default)s)"
    )
    parser.add_argument("--items", type=int, metavar="N", help="items, or answers of each listener (default: several)")
    parser.add_argument("--power", type=float, default=0.8, help="chance of detecting it (default: %(default)s)")
    parser.add_argument("--alpha", type=float, default=0.05, help="chance of a false alarm (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=1, help="comparisons that share alpha (default: %(default)s)")
    parser.set_defaults(run=plan)


def plan(arguments: argparse.Namespace) -> None:
    """Print how many listeners and items a test needs, with what that assumes."""
    if not (0 < arguments.alpha < 1 and arguments.alpha < arguments.power < 1) or arguments.pairs < 1:
        raise EvalError(
            f"--alpha {arguments.alpha:g}, --power {arguments.power:g}, --pairs {arguments.pairs}; "
            "expected 0 < alpha < power < 1, and 1 pair or more"
        )
    if arguments.items is not None and arguments.items < 1:
        raise EvalError(f"--items is {arguments.items}; expected 1 or more")
    alpha = arguments.alpha / arguments.pairs
    level = f"power {arguments.power:g} at alpha {alpha:.3g}" + (
        f" ({arguments.alpha:g} over {arguments.pairs} pairs)" if arguments.pairs > 1 else ""
    )
    (plan_choices if arguments.method in ("ab", "abx") else plan_ratings)(arguments, alpha, level)


def plan_ratings(arguments: argparse.Namespace, alpha: float, level: str) -> None:
    if arguments.effect is None or arguments.sd is None:
        raise EvalError(f"{arguments.method} compares ratings; expected --effect and --sd, in points of its scale")
    own = 0.2 if arguments.listener_share is None else arguments.listener_share
    spread = Spread(arguments.sd, own, arguments.item_share)
    items = [arguments.items] if arguments.items else ITEMS
    table = rating_plan(arguments.effect, spread, items, arguments.power, alpha)
    print(
        f"Listeners for a difference of {arguments.effect:g} points between two conditions, each rated on every item:"
    )
    print(f"{level}, two-sided paired t test of listeners' means.\n")
    names = {"listeners_other_items": "for items like these", "ratings": "ratings a condition"}
    print(markdown(table.round(3).astype(object).fillna("-").rename(columns=names)))
    print(
        f"One listener's difference on one item varies by {arguments.sd:g} points; {own:g} of its variance is the "
        f"listener's own, {spread.item_share:g} the item's. Take all three from a pilot. `listeners`: the difference "
        "on these items; `for items like these`: on all items of their kind (-: more items are needed)."
    )


def plan_choices(arguments: argparse.Namespace, alpha: float, level: str) -> None:
    if arguments.share is None:
        raise EvalError(
            f"{arguments.method} counts answers; expected --share, the share of right ones (or preferences)"
        )
    preference = arguments.method == "ab"
    own = (0.2 if preference else 0.0) if arguments.listener_share is None else arguments.listener_share
    each = [arguments.items] if arguments.items else ANSWERS
    table = choice_plan(arguments.share, each, arguments.power, alpha, preference, own)
    alone, right = answers_needed(arguments.share, arguments.power, alpha, preference)
    what = "answers for the better" if preference else "right answers"
    print(f"Listeners for a share of {arguments.share:g} of {what} in one pair:")
    print(f"{level}, {'two' if preference else 'one'}-sided exact binomial test.\n")
    print(markdown(table.rename(columns={"answers_each": "answers each"}).astype(str)))
    print(
        f"Answers of one listener correlate by {own:g}: take that from a pilot. One listener alone, or answers that do "
        f"not correlate: {alone}, of which {right} must agree."
        + (" Answers without a preference do not count." if preference else "")
    )


PARSERS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "serve": (options.serve_parser, "Serve a test to listeners and collect their answers"),
    "export": (options.export_parser, "Write every answer so far, with what is known of its listener, as one table"),
    "analyze": (analyze_parser, "Screen listeners, and write statistics, tables and figures"),
    "simulate": (simulate_parser, "Invent listeners with known true scores, to try the analysis"),
    "plan": (plan_parser, "Say how many listeners and items a test needs"),
}
