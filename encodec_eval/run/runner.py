"""Run a plan over a set and keep every score: start, resume where a killed run stopped, finish."""

import json
import logging
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from codec.files import write_atomically
from encodec_eval.datasets import ClipSet
from encodec_eval.metrics import METRICS
from encodec_eval.run import provenance
from encodec_eval.run.engine import Died, Done, Engine
from encodec_eval.run.journal import Journal, Key
from encodec_eval.run.worker import Job, Plan, failures
from encodec_eval.types import Clip, EvalError, Measure, Metric
from encodec_eval.weights import sha256

logger = logging.getLogger(__name__)

DEATHS_IN_A_ROW = 20  # at different clips, as long as anything could be scored


@dataclass(frozen=True)
class Run:
    """A run: its folder, its clips and plan, and the choices that the record needs."""

    folder: Path
    clip_set: ClipSet
    plan: Plan
    choices: dict[str, object]
    command: list[str]
    substitutions: tuple[str, ...] = ()  # substitutes for what was asked for, besides the set's own note

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the scores. Two runs with the same settings may share a journal."""
        settings = {
            "set": self.clip_set.name,
            "file_list_sha256": self.clip_set.file_list_sha256,
            "systems": [system.describe() for system in self.plan.systems],
            "metrics": list(self.plan.metrics),
            "versions": provenance.versions(self.packages),
            **self.choices,
        }
        if self.plan.plugins:
            settings["plugins"] = {metric.name: json.loads(metric.record) for metric in self.plan.plugins}
        if weights := self.weights:
            settings["weights"] = weights
        return dict(json.loads(json.dumps(settings)))

    @property
    def packages(self) -> list[str]:
        """The packages whose version can change a score of this run: those that its systems and metrics use."""
        by_systems = (package for system in self.plan.systems for package in system.packages)
        by_metrics = (package for metric in self.plan.metrics for package in METRICS[metric].packages)
        return list(dict.fromkeys([*provenance.ALWAYS_USED, *by_systems, *by_metrics]))

    @property
    def weights(self) -> dict[str, str]:
        """The SHA-256 of every file of weights that the run's metrics read."""
        return {name: sha256(name) for metric in self.plan.metrics for name in METRICS[metric].weights}

    @property
    def size(self) -> int:
        """How many scores a complete run has."""
        return len(self.clip_set.clips) * len(self.plan.cells)

    @property
    def keys(self) -> list[Key]:
        """Every score that a complete run has, in its order."""
        return [(clip.id, *cell) for clip in self.clip_set.clips for cell in self.plan.cells]


def execute(
    run: Run,
    engine: Callable[[Plan], Engine],
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> None:
    """Compute every score that the run's journal lacks, then put the journal in order.

    `progress` is called with how many scores have come, those found on disk first.
    Raises `EvalError` if the folder cannot be written, holds a run with other settings or is in use.
    """
    make_folder(run.folder)
    report = progress or (lambda count: None)
    started = time.monotonic()
    with Journal(run.folder, overwrite) as journal:
        config = open_config(run)
        report(len(journal))
        jobs = pending(run, journal)
        if not jobs:
            return
        config["sessions"].append(provenance.session(run.command))
        write_config(run.folder, config)
        consume(engine(run.plan), jobs, journal, report)
        journal.sort((clip.id for clip in run.clip_set.clips), run.plan.cells)
        config["sessions"][-1]["wall_s"] = round(time.monotonic() - started, 1)
        write_config(run.folder, config)


def make_folder(folder: Path) -> None:
    """Make the folder of a run. Raises `EvalError` if it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise EvalError(f"cannot write to {folder} ({error.strerror}): choose another folder with --out") from error


def pending(run: Run, journal: Journal) -> deque[Job]:
    """What is left to do, by clip, the longest first: then no worker is left alone with a long one at the end."""
    jobs: deque[Job] = deque()
    every = tuple(run.plan.cells)
    for clip in sorted(run.clip_set.clips, key=lambda clip: -clip.duration_s):
        cells = journal.missing(clip.id, every)
        if cells:
            jobs.append(Job(clip, tuple(cells)))
    return jobs


def consume(engine: Engine, queue: deque[Job], journal: Journal, report: Callable[[int], object]) -> None:
    """Take the engine's events to the journal. A job whose worker died is tried again in parts, down to one cell.

    Raises `EvalError` where workers die at one clip after the other: then the cause is not in a clip.
    """
    deaths = 0
    for job, event in engine.run(queue):
        if isinstance(event, Done):
            continue
        if isinstance(event, Died):
            if event.fatal:
                raise EvalError(event.reason)
            deaths += not (job.deaths and len(journal))
            if deaths >= DEATHS_IN_A_ROW:
                raise EvalError(f"{deaths} workers died one after the other without a score; the last {event.reason}")
            retry(job, event, queue, journal)
            continue
        deaths = 0
        journal.append(event)
        report(len(event))


def retry(job: Job, death: Died, queue: deque[Job], journal: Journal) -> None:
    """Queue what is left of a job in smaller parts, behind all others. One cell that was retried waits instead."""
    left = list(journal.missing(job.clip.id, job.cells))
    if not left:
        return
    if len(job.cells) == 1 and job.deaths:
        point, metric = job.cells[0]
        logger.warning("%s: a worker %s at %s of %s, again", job.clip.id, death.reason, metric, point)
        reason = f"waits for the next run: the worker {death.reason} while it computed {metric}, and again alone"
        journal.wait(failures(job, job.cells, reason))
        return
    points = list(dict.fromkeys(point for point, _ in left))
    parts = [[cell] for cell in left] if len(points) == 1 else [[c for c in left if c[0] == p] for p in points]
    queue.extend(Job(job.clip, tuple(part), job.deaths + 1) for part in parts)


def open_config(run: Run) -> dict[str, Any]:
    """The run's `config.json`, new or as it is on disk. Raises `EvalError` if that has other settings."""
    path = run.folder / "config.json"
    if not path.exists():
        return {
            "settings": run.settings,
            "note": run.clip_set.note,
            "substitutions": list(run.substitutions),
            "licence": run.clip_set.licence,
            "points": [asdict(point) for system in run.plan.systems for point in system.points],
            "clips": [describe_clip(clip) for clip in run.clip_set.clips],
            "skipped": [asdict(each) for each in run.clip_set.skipped],
            "metrics": [describe_metric(METRICS[name]) for name in run.plan.metrics],
            "sessions": [],
        }
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    different = differences(config["settings"], run.settings)
    if different:
        raise EvalError(
            f"{run.folder} holds a run with other settings ({', '.join(different)}): use another --out, or --overwrite"
        )
    return config


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Names of the settings that differ; for a package, both versions. Packages that our run does not use are left
    out: a run made where more was installed is no other run."""
    names = sorted((theirs.keys() | ours.keys()) - {"versions"})
    old, new = theirs.get("versions", {}), ours["versions"]
    return [name for name in names if theirs.get(name) != ours.get(name)] + [
        f"{package} {old.get(package, 'unknown')} there, {version} here"
        for package, version in new.items()
        if old.get(package) != version
    ]


def describe_clip(clip: Clip) -> dict[str, object]:
    known = {"domain": clip.domain} if clip.domain else {}
    return {"id": clip.id, "speaker": clip.speaker, "seconds": round(clip.duration_s, 3), **known}


def describe_metric(metric: Metric) -> dict[str, object]:
    """What a reader of the results has to know of a metric."""
    return {field.name: getattr(metric, field.name) for field in fields(Measure)}


def write_config(folder: Path, config: dict[str, Any]) -> None:
    write_atomically(folder / "config.json", json.dumps(config, indent=1) + "\n")
