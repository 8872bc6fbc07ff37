"""Run systems on a set of recordings, score what they make of them, and write tables."""

import argparse
import math
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

import codec
from codec.weights import DEFAULT_MODEL
from encodec_eval import systems
from encodec_eval.datasets import ClipSet, draw, load_set
from encodec_eval.metrics import METRICS, choose
from encodec_eval.report import folder as report
from encodec_eval.report import results
from encodec_eval.report.examples import render
from encodec_eval.run import runner
from encodec_eval.run.cluster import RayPool
from encodec_eval.run.local import Executor, LocalPool
from encodec_eval.run.worker import Plan, safe_name
from encodec_eval.types import EvalError, System

SYSTEMS = ("encodec", "opus", "mp3", "anchors", "identity")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", default="librispeech", help="set[:subset], folder, audio file or .csv manifest")
    parser.add_argument(
        "--systems", nargs="+", default=["encodec"], metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}, and hf:NAME"
    )
    parser.add_argument("--model", nargs="+", help="EnCodec checkpoints: bundled name, hub id, folder or .th file")
    parser.add_argument("--bandwidths", nargs="+", type=float, metavar="KBPS", help="of EnCodec (default: all it has)")
    parser.add_argument("--lm", action="store_true", help="also measure EnCodec's rate with its language model")
    parser.add_argument("--opus-kbps", nargs="+", type=float, metavar="KBPS", help="rates to ask of Opus")
    parser.add_argument("--mp3-kbps", nargs="+", type=float, metavar="KBPS", help="rates to ask of MP3")
    parser.add_argument("--system", action="append", default=[], metavar="NAME=FOLDER", help="audio decoded elsewhere")
    parser.add_argument("--bitrate", action="append", default=[], metavar="NAME=KBPS", help="its rate, if known")
    parser.add_argument("--compressed", action="append", default=[], metavar="NAME=FOLDER", help="its coded files")
    parser.add_argument("--metrics", nargs="+", metavar="METRIC", help=f"of {', '.join(METRICS)}")
    parser.add_argument("--limit", type=int, help="draw this many clips, balanced by speaker")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--data-root", type=Path, help="where corpora lie, or are downloaded to")
    parser.add_argument("--no-download", action="store_true", help="never download a corpus")
    parser.add_argument("--out", type=Path, help="folder of the run (default: results/<set>_<systems>)")
    parser.add_argument("--overwrite", action="store_true", help="begin again if the folder holds a run")
    parser.add_argument("--device", default="cpu", help="for neural codecs: cpu or cuda")
    parser.add_argument("--jobs", type=int, help="workers (default: all cores, or all of the cluster)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="where workers run")
    parser.add_argument("--address", help="of a running Ray cluster, such as auto (default: start one here)")
    parser.add_argument("--reference", metavar="SYSTEM", help="compare every system with this one, clip by clip")


def main(arguments: argparse.Namespace) -> int:
    if arguments.jobs is not None and arguments.jobs < 1:
        raise EvalError(f"--jobs must be at least 1, not {arguments.jobs}")
    metrics = choose(arguments.metrics)
    clip_set = load_set(arguments.set, arguments.data_root, not arguments.no_download)
    if arguments.limit is not None:
        clip_set = replace(clip_set, clips=draw(clip_set.clips, arguments.limit, arguments.seed))
    plan = Plan(tuple(build_systems(arguments, clip_set)), tuple(metrics))
    folder = arguments.out or Path("results") / default_name(arguments, clip_set, plan)
    plan = replace(plan, codes_dir=str(folder / "codes"))
    choices: dict[str, object] = {"limit": arguments.limit, "seed": arguments.seed}
    run = runner.Run(folder, clip_set, plan, choices, arguments.argv, substitutions(arguments, plan))
    names = [point.name for system in plan.systems for point in system.points]
    if arguments.reference is not None and arguments.reference not in names:
        raise EvalError(f"no system {arguments.reference!r}; allowed are {', '.join(names)}")
    print(f"{clip_set.name}: {len(clip_set.clips)} clips; {', '.join(names)}; results in {folder}", file=sys.stderr)

    def executor(plan: Plan) -> Executor:
        if arguments.engine == "ray":
            return RayPool(plan, arguments.jobs, arguments.address, gpus=arguments.device != "cpu")
        return LocalPool(plan, arguments.jobs or os.cpu_count() or 1)

    with progress_bar(len(run.keys)) as update:
        runner.execute(run, executor, arguments.overwrite, update)
    finished = results.load(folder)
    render(finished, clip_set.clips, plan.systems)
    table = report.write_report(finished, arguments.reference)
    print(f"{report.title(finished)}\n\n{table}\n{folder}/report.md, report.html")
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


def substitutions(arguments: argparse.Namespace, plan: Plan) -> tuple[str, ...]:
    """What the report says where no model was named and the bundled one stands in for facebook's."""
    used = {str(system.describe()["model"]) for system in plan.systems if isinstance(system, systems.Encodec)}
    if arguments.model or not used - {DEFAULT_MODEL}:
        return ()
    return (
        f"{DEFAULT_MODEL} is neither cached nor downloadable here; this is the bundled small model {', '.join(used)} "
        "instead, which sounds worse",
    )


def build_systems(arguments: argparse.Namespace, clip_set: ClipSet) -> list[System]:
    """The systems that the arguments name. Raises `EvalError` for an unknown one."""
    stereo = any(clip.channels == 2 for clip in clip_set.clips)
    built: list[System] = []
    for name in dict.fromkeys(arguments.systems):
        if name == "encodec":
            built += encodecs(arguments)
        elif name == "opus":
            built.append(systems.Opus(tuple(arguments.opus_kbps or ((12, 24, 48) if stereo else (6, 8, 12, 16, 24)))))
        elif name == "mp3":
            built.append(systems.Mp3(tuple(arguments.mp3_kbps or ((48, 64, 96) if stereo else (32, 64)))))
        elif name == "anchors":
            built.append(systems.Lowpass())
        elif name == "identity":
            built.append(systems.Identity())
        elif name.startswith("hf:"):
            check_device(arguments.device)
            built.append(systems.Tokenizer(name.removeprefix("hf:"), arguments.device))
        else:
            raise EvalError(f"no system {name!r}; allowed are {', '.join(SYSTEMS)}, hf:NAME, and --system NAME=FOLDER")
    rates = {name: positive(kbps, "--bitrate") for name, kbps in pairs(arguments.bitrate, "--bitrate").items()}
    coded = pairs(arguments.compressed, "--compressed")
    for name, folder in pairs(arguments.system, "--system").items():
        built.append(systems.DecodedFolder(name, folder, rates.pop(name, None), coded.pop(name, None)))
    if rates or coded:
        raise EvalError(f"--bitrate or --compressed for {', '.join([*rates, *coded])}, which no --system names")
    return built


def encodecs(arguments: argparse.Namespace) -> list[System]:
    check_device(arguments.device)
    bandwidths = tuple(arguments.bandwidths) if arguments.bandwidths else None
    found: list[System] = []
    for name in arguments.model or [None]:
        model = codec.load_model(name, device=arguments.device)
        found.append(systems.Encodec(model.name, bandwidths, arguments.device, arguments.lm))
    return found


def check_device(device: str) -> None:
    """Raise `EvalError` for a device that torch does not have here."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if device.split(":")[0] not in devices:
        raise EvalError(f"device {device} is not to be had here; allowed are {', '.join(devices)}")


def pairs(values: list[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` arguments as a dictionary."""
    for value in values:
        if not all(value.partition("=")):
            raise EvalError(f"{option} takes NAME=VALUE, not {value!r}")
    return {name: text for name, _, text in (value.partition("=") for value in values)}


def positive(text: str, option: str) -> float:
    """A number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise EvalError(f"{option} takes kbps above 0, not {text!r}")
    return value


def default_name(arguments: argparse.Namespace, clip_set: ClipSet, plan: Plan) -> str:
    """A folder name that tells runs of different sets, systems and limits apart."""
    series = dict.fromkeys(point.series for system in plan.systems for point in system.points)
    parts = [clip_set.name, "+".join(series)]
    if arguments.limit is not None:
        parts.append(f"limit{arguments.limit}")
    return safe_name("_".join(parts))
