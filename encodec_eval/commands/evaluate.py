"""Run systems on a set of recordings, score what they make of them, and write tables."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from codec.weights import DEFAULT_MODEL
from encodec_eval import systems
from encodec_eval.datasets import ClipSet, draw, load_set
from encodec_eval.files import safe_name
from encodec_eval.metrics import GROUPS, METRICS, choose, left_out
from encodec_eval.report import folder as report
from encodec_eval.report import results
from encodec_eval.report.examples import render
from encodec_eval.run import runner
from encodec_eval.run.cluster import RayEngine
from encodec_eval.run.engine import Engine
from encodec_eval.run.local import LocalEngine
from encodec_eval.run.worker import Plan
from encodec_eval.types import EvalError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", default="librispeech", help="set[:subset], folder, audio file or .csv manifest")
    systems.add_options(parser)
    parser.add_argument(
        "--metrics", nargs="+", metavar="METRIC", help=f"{', '.join(GROUPS)}, or of {', '.join(METRICS)}"
    )
    parser.add_argument("--strict", action="store_true", help="refuse a set with a file that cannot be decoded")
    parser.add_argument("--limit", type=int, help="draw this many clips, balanced by speaker")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--data-root", type=Path, help="where corpora lie, or are downloaded to")
    parser.add_argument("--no-download", action="store_true", help="never download a corpus")
    parser.add_argument("--out", type=Path, help="folder of the run (default: results/<set>_<systems>)")
    parser.add_argument("--overwrite", action="store_true", help="begin again if the folder holds a run")
    parser.add_argument("--jobs", type=int, help="workers (default: all cores, or all of the cluster)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="where workers run")
    parser.add_argument("--address", help="of a running Ray cluster, such as auto (default: start one here)")
    parser.add_argument("--reference", metavar="POINT", help="compare every point with this one, clip by clip")


def main(arguments: argparse.Namespace) -> int:
    if arguments.jobs is not None and arguments.jobs < 1:
        raise EvalError(f"--jobs must be at least 1, not {arguments.jobs}")
    metrics = choose(arguments.metrics)
    clip_set = load_set(arguments.set, arguments.data_root, not arguments.no_download, arguments.strict)
    if arguments.limit is not None:
        clip_set = replace(clip_set, clips=draw(clip_set.clips, arguments.limit, arguments.seed))
    plan = Plan(tuple(systems.build(arguments, clip_set.clips)), tuple(metrics))
    folder = arguments.out or Path("results") / default_name(arguments, clip_set, plan)
    plan = replace(plan, codes_dir=str(folder / "codes"))
    choices: dict[str, object] = {"limit": arguments.limit, "seed": arguments.seed}
    run = runner.Run(folder, clip_set, plan, choices, arguments.argv, notes(arguments, plan))
    names = [point.name for system in plan.systems for point in system.points]
    if arguments.reference is not None and arguments.reference not in names:
        raise EvalError(f"no point {arguments.reference!r}; expected {', '.join(names)}")
    print(f"{clip_set.name}: {len(clip_set.clips)} clips; {', '.join(names)}; results in {folder}", file=sys.stderr)

    def engine(plan: Plan) -> Engine:
        if arguments.engine == "ray":
            return RayEngine(plan, arguments.jobs, arguments.address, gpus=arguments.device != "cpu")
        return LocalEngine(plan, arguments.jobs or os.cpu_count() or 1)

    with progress_bar(run.size) as update:
        runner.execute(run, engine, arguments.overwrite, update)
    finished = results.load(folder)
    render(finished, clip_set.clips, plan.systems)
    table = report.write_report(finished, arguments.reference)
    print(f"{report.title(finished)}\n\n{table}\n{folder}/report.md, report.html")
    if finished.waiting:
        reason = "because their workers died or ran out of memory"
        print(f"{finished.waiting} scores wait {reason}: run the same command again", file=sys.stderr)
    failed = finished.scores[finished.scores.metric.isin(finished.quality_metrics)]
    if len(failed) and failed.value.isna().all():
        raise EvalError(f"nothing could be scored: {failed.reason.iloc[0]}")
    return 0


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[int], object]]:
    """A function that counts scores. The bar appears with its first call, so that a refused run shows none."""
    with ExitStack() as stack:

        @cache
        def bar() -> "tqdm[NoReturn]":
            return stack.enter_context(tqdm(total=total, unit="score", smoothing=0.05))

        yield lambda count: bar().update(count)


def notes(arguments: argparse.Namespace, plan: Plan) -> tuple[str, ...]:
    """What the report says at its top: what stands in for what, and what a group of metrics lacks here."""
    missing = {
        name: reason for group in arguments.metrics or () if group in GROUPS for name, reason in left_out(group).items()
    }
    lacking = (f"{name} is left out: it {reason}" for name, reason in missing.items() if name not in plan.metrics)
    return (*substitutions(arguments, plan), *lacking)


def substitutions(arguments: argparse.Namespace, plan: Plan) -> tuple[str, ...]:
    """What the report says where no model was named and the bundled one stands in for facebook's."""
    used = {str(system.describe()["model"]) for system in plan.systems if isinstance(system, systems.Encodec)}
    if arguments.model or not used - {DEFAULT_MODEL}:
        return ()
    return (
        f"{DEFAULT_MODEL} is neither cached nor downloadable here; this is the bundled small model {', '.join(used)} "
        "instead, which sounds worse",
    )


def default_name(arguments: argparse.Namespace, clip_set: ClipSet, plan: Plan) -> str:
    """A folder name that tells runs of different sets, systems and limits apart."""
    series = dict.fromkeys(point.series for system in plan.systems for point in system.points)
    parts = [clip_set.name, "+".join(series)]
    if arguments.limit is not None:
        parts.append(f"limit{arguments.limit}")
    return safe_name("_".join(parts))
