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

import torch
from tqdm import tqdm

from codec.weights import DEFAULT_MODEL
from encodec_eval import selection, systems
from encodec_eval.channels import delay, spec, through
from encodec_eval.datasets import ClipSet
from encodec_eval.files import safe_name
from encodec_eval.metrics import GROUPS, METRICS, choose, left_out
from encodec_eval.plugins import metrics as plugged
from encodec_eval.report import folder as report
from encodec_eval.report import results
from encodec_eval.report.examples import render
from encodec_eval.run import runner
from encodec_eval.run.cluster import RayEngine
from encodec_eval.run.engine import Engine
from encodec_eval.run.local import LocalEngine
from encodec_eval.run.worker import Plan
from encodec_eval.types import EvalError, System


def add_arguments(parser: argparse.ArgumentParser) -> None:
    selection.add_options(parser)
    parser.add_argument(
        "--clean-reference", action="store_true", help="compare outputs with the clean speech instead of the noisy"
    )
    systems.add_options(parser)
    parser.add_argument("--through", nargs="+", metavar="CONDITION", help=f"between encoder and decoder: {spec.HELP}")
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="METRIC",
        help=f"{', '.join(GROUPS)}, MODULE:CLASS, or any of {', '.join(METRICS)}",
    )
    parser.add_argument("--curves", nargs="*", metavar="METRIC", help="draw curves of only these (default: of all)")
    parser.add_argument("--strict", action="store_true", help="refuse sets with files that cannot be decoded")
    parser.add_argument("--limit", type=int, help="use this many clips of each set, balanced by speaker")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (default: 0)")
    parser.add_argument("--max-seconds", type=float, help="use at most this much audio of each set")
    parser.add_argument("--out", type=Path, help="folder of the run (default: results/<set>_<systems>)")
    parser.add_argument("--overwrite", action="store_true", help="start again if the folder already holds a run")
    parser.add_argument("--jobs", type=int, help="number of workers (default: all cores, or the whole cluster)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="where workers run")
    parser.add_argument("--address", help="of a running Ray cluster, or auto (default: start one here)")
    parser.add_argument("--reference", metavar="POINT", help="also compare every point with this one, clip by clip")


def main(arguments: argparse.Namespace) -> int:
    if arguments.jobs is not None and arguments.jobs < 1:
        raise EvalError(f"--jobs must be at least 1, not {arguments.jobs}")
    named, plugins = plugged.add(arguments.metrics, arguments.timeout)
    metrics = choose(named)
    report.check_curves(arguments.curves, [name for name in metrics if METRICS[name].kind == "pair"])
    clip_set = selection.select(arguments, arguments.limit, arguments.strict, arguments.max_seconds)
    if arguments.through:
        plan = impaired(arguments, clip_set, metrics)
    else:
        plan = Plan(tuple(systems.build(arguments, clip_set.clips)), tuple(metrics))
    plan = replace(plan, plugins=plugins)
    folder = arguments.out or Path("results") / default_name(arguments, clip_set, plan)
    plan = replace(plan, codes_dir=str(folder / "codes"))
    choices: dict[str, object] = {"limit": arguments.limit, "seed": arguments.seed, **selection.choices(arguments)}
    if arguments.max_seconds is not None:
        choices["max_seconds"] = arguments.max_seconds
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
    if arguments.through:
        torch.set_num_threads(1)  # packets are decoded in small steps, in which threads only wait for each other
    render(finished, clip_set.clips, plan.systems)
    if arguments.through:
        delay.write(folder, [system.system for system in plan.systems if isinstance(system, through.Through)])
    table = report.write_report(finished, arguments.reference, arguments.curves)
    print(f"{report.title(finished)}\n\n{table}\n{folder}/report.md, report.html")
    if finished.waiting:
        reason = "because their workers died or ran out of memory"
        print(f"{finished.waiting} scores wait {reason}: run the same command again", file=sys.stderr)
    failed = finished.scores[finished.scores.metric.isin(finished.quality_metrics)]
    if len(failed) and failed.value.isna().all():
        raise EvalError(f"nothing could be scored: {failed.reason.iloc[0]}")
    return 0


def impaired(arguments: argparse.Namespace, clip_set: ClipSet, metrics: list[str]) -> Plan:
    """The plan of a run with `--through`. Opus is asked for EnCodec's rates where none are given for it."""
    conditions = spec.parse(arguments.through)
    if not arguments.opus_kbps and arguments.bandwidths:
        arguments.opus_kbps = [kbps for kbps in arguments.bandwidths if kbps >= 6] or None
    asked = (("lost", any(c.channels for c in conditions)), ("equal_codes", any(not c.channels for c in conditions)))
    metrics = metrics + [name for name, wanted in asked if wanted and name not in metrics]
    return Plan(
        tuple(through.wrap(systems.build(arguments, clip_set.clips), conditions, arguments.seed)), tuple(metrics)
    )


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
    bare = [getattr(system, "system", system) for system in plan.systems]
    used = {str(system.describe()["model"]) for system in bare if isinstance(system, systems.Encodec)}
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
    if arguments.through:
        parts = [clip_set.name, "+".join(dict.fromkeys(series_of(system) for system in plan.systems)), "line"]
    if arguments.limit is not None:
        parts.append(f"limit{arguments.limit}")
    if arguments.max_seconds is not None:
        parts.append(f"{arguments.max_seconds:g}s")
    return safe_name("_".join(parts))


def series_of(system: System) -> str:
    """The name of a system's curve, without what was done to it."""
    return str(getattr(system, "system", system).points[0].series)
