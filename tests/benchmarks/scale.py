"""How a run of very many scores resumes and reports, on a journal that this script makes up.

    python -m tests.benchmarks.scale [--clips 100000] [--metrics pesq stoi si_snr] [--costs] [--keep FOLDER]

Fifteen operating points of five made-up codecs. `--costs` adds the bitrates, speeds and lags that the command
`evaluate` always records: 2.3 times as many lines. The journal is in the order in which workers might have finished,
lacks the last three clips, and has a reason instead of a value in one line of fifty. Every stage runs in a process of
its own, whose highest memory is told.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import soundfile as sf
import torch

from encodec_eval.datasets import ClipSet
from encodec_eval.metrics import METRICS, choose
from encodec_eval.report import examples
from encodec_eval.report.folder import write_report
from encodec_eval.report.results import load
from encodec_eval.run import provenance
from encodec_eval.run.runner import Run, execute, make_folder, open_config, write_config
from encodec_eval.run.worker import Plan, Worker
from encodec_eval.types import Clip, Output, Point

RATE, SECONDS, SPEAKERS, LEFT = 24000, 6.0, 1000, 3
KBPS = (1.5, 6.0, 24.0)
TARGETS = {"resume": (60.0, "s"), "report.md": (120.0, "s"), "memory": (2000.0, "MB"), "report.html": (10.0, "MB")}


@dataclass(frozen=True)
class Made:
    """A codec that adds noise, less at a higher rate."""

    packages: ClassVar[tuple[str, ...]] = ()
    name: str

    @property
    def points(self) -> Sequence[Point]:
        return [Point(f"{self.name}@{kbps:g}", self.name, kbps) for kbps in KBPS]

    def describe(self) -> dict[str, object]:
        return {"system": self.name}

    def process(
        self, wav: torch.Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None
    ) -> list[Output]:
        noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(0))
        rates = [point.nominal_kbps or 0.0 for point in points]
        return [
            Output(point, wav + 0.05 / kbps * noise, sample_rate, payload_bytes=125 * kbps * SECONDS)
            for point, kbps in zip(points, rates, strict=True)
        ]


def made_run(folder: Path, clips: int, metrics: Sequence[str], costs: bool) -> Run:
    """The run: every clip is a copy of one recording, under the name of one of a thousand speakers."""
    path = folder.parent / f"{folder.name}.wav"
    if not path.exists():
        sf.write(path, np.random.default_rng(0).normal(0, 0.1, round(SECONDS * RATE)), RATE)
    made = [
        Clip(f"{n % SPEAKERS:04}/chapter/{n % SPEAKERS:04}-{n:07}", str(path), RATE, 1, round(SECONDS * RATE),
             speaker=f"{n % SPEAKERS:04}")
        for n in range(clips)
    ]  # fmt: skip
    systems = tuple(Made(name) for name in ("opus", "ours", "theirs", "mp3", "vocoder"))
    chosen = tuple(choose(list(metrics))) if costs else tuple(metrics)
    return Run(folder, ClipSet("made-up", made), Plan(systems, chosen), {}, ["--set", "made-up"])


def write(run: Run) -> dict[str, object]:
    """The run as it was killed shortly before its end."""
    make_folder(run.folder)
    config = open_config(run)
    config["sessions"].append(provenance.session(run.command))
    write_config(run.folder, config)
    generator = np.random.default_rng(1)
    cells = run.plan.cells
    bounds = [METRICS[metric].range for _, metric in cells]
    lows, highs = (np.clip([each[n] for each in bounds], -20, 20) for n in (0, 1))
    heads = [f'"point": "{point}", "metric": "{metric}", ' for point, metric in cells]
    with (run.folder / "scores.jsonl").open("w", encoding="utf-8") as file:
        for n in generator.permutation(len(run.clip_set.clips) - LEFT):
            values, failed = generator.uniform(lows, highs).tolist(), generator.random(len(cells)) < 0.02
            tails = [
                f'"value": null, "reason": "made up, number {n % 7}"}}\n'
                if fails
                else f'"value": {value!r}, "reason": null}}\n'
                for value, fails in zip(values, failed, strict=True)
            ]
            begin = f'{{"clip": "{run.clip_set.clips[n].id}", '
            file.writelines(begin + head + tail for head, tail in zip(heads, tails, strict=True))
    return {"journal MB": (run.folder / "scores.jsonl").stat().st_size / 1e6}


def resume(run: Run) -> dict[str, object]:
    """Seconds until the first of the missing jobs is at hand, and until the run is complete and in order."""
    begin, started = time.perf_counter(), 0.0

    class Inline:
        def __init__(self, plan: Plan) -> None:
            self.worker = Worker(plan)

        def run(self, queue):
            nonlocal started
            started = time.perf_counter() - begin
            assert len(queue) == LEFT
            while queue:
                job = queue.popleft()
                for scores in self.worker.run(job):
                    yield job, scores

    execute(run, Inline)
    return {"resume s": started, "complete s": time.perf_counter() - begin}


def report(run: Run) -> dict[str, object]:
    """Seconds until report.md and until all files are written, and sizes."""
    begin, wall = time.perf_counter(), time.time()
    results = load(run.folder)
    loaded = time.perf_counter() - begin
    examples.render(results, run.clip_set.clips, run.plan.systems)
    write_report(results, "opus@6")
    return {
        "load s": loaded,
        "report.md s": (run.folder / "report.md").stat().st_mtime - wall,
        "all files s": time.perf_counter() - begin,
        "report.md MB": (run.folder / "report.md").stat().st_size / 1e6,
        "report.html MB": (run.folder / "report.html").stat().st_size / 1e6,
    }


STAGES = {"write": write, "resume": resume, "report": report}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--metrics", nargs="+", default=["pesq", "stoi", "si_snr"])
    parser.add_argument("--costs", action="store_true", help="also what `evaluate` always records")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        found = STAGES[arguments.stage](made_run(arguments.keep, arguments.clips, arguments.metrics, arguments.costs))
        print(json.dumps({**found, "memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name) / "run"
        given = ["--clips", str(arguments.clips), "--metrics", *arguments.metrics, "--keep", str(folder)]
        for stage in STAGES:
            command = [sys.executable, "-m", "tests.benchmarks.scale", *given, *["--costs"] * arguments.costs]
            ran = subprocess.run([*command, "--stage", stage], check=True, stdout=subprocess.PIPE, text=True)
            figures = json.loads(ran.stdout)
            print(f"{stage}: " + ", ".join(f"{what} {value:.1f}" for what, value in figures.items()), flush=True)
            for what, (limit, unit) in TARGETS.items():
                if (value := figures.get(f"{what} {unit}")) is not None and stage != "write":
                    print(f"  {what}: {value:.1f} {unit}, target {limit:g}: {'met' if value < limit else 'MISSED'}")


if __name__ == "__main__":
    main()
