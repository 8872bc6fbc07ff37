"""Codecs on an accelerator, here a device that is none: one process codes while workers compute metrics."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile as sf

from encodec_eval.datasets import load_set
from encodec_eval.run.accelerator import Shared, accelerated
from encodec_eval.run.journal import read
from encodec_eval.run.local import LocalEngine
from encodec_eval.run.runner import Run, execute
from encodec_eval.run.worker import Plan
from encodec_eval.types import Metric, Output, Point
from tests.encodec_eval.fakes import noisy

WAIT_S = 30.0


@dataclass(frozen=True)
class OnDevice:
    """Adds noise, and leaves a file for each clip that it began, with the process that did it."""

    packages: ClassVar[tuple[str, ...]] = ()
    folder: str
    device: str = "fake:0"
    points: Sequence[Point] = (Point("fake", "fake"),)

    def describe(self) -> dict[str, object]:
        return {"system": "fake", "device": self.device}

    def process(self, wav, sample_rate, points, clip=None) -> list[Output]:
        (Path(self.folder) / f"codec-{os.getpid()}-{clip.id}").touch()
        if clip.id == "fails":
            raise ValueError("this clip is not for this device")
        return [Output(point, noisy(wav, sample_rate), sample_rate) for point in points]


def overlap(reference, estimate, sample_rate, folder: str) -> float:
    """1 as soon as the codec has begun with another clip than the first, while this metric is computed."""
    (Path(folder) / f"metric-{os.getpid()}-{time.monotonic_ns()}").touch()
    deadline = time.monotonic() + WAIT_S
    while len(list(Path(folder).glob("codec-*"))) < 2:
        if time.monotonic() > deadline:
            return 0.0
        time.sleep(0.01)
    return 1.0


@pytest.fixture
def run(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "marks").mkdir()
    for n, name in enumerate(("a", "b", "c", "fails")):
        sf.write(tmp_path / f"audio/{name}.wav", np.random.default_rng(n).normal(0, 0.1, 16000), 16000)
    waits = Metric(
        name="overlap", title="", unit="", higher_is_better=True, source="", range=(0, 1),
        function=partial(overlap, folder=str(tmp_path / "marks")),
    )  # fmt: skip
    plan = Plan((OnDevice(str(tmp_path / "marks")),), ("overlap",), plugins=(waits,))
    return Run(tmp_path / "run", load_set(str(tmp_path / "audio")), plan, {}, [])


@pytest.mark.slow
def test_one_process_codes_while_the_workers_score(run, tmp_path, monkeypatch):
    from encodec_eval.metrics import METRICS

    monkeypatch.setitem(METRICS, "overlap", run.plan.plugins[0])
    monkeypatch.setattr(Run, "settings", {"metrics": ["overlap"]})
    execute(run, lambda plan: LocalEngine(plan, 2))
    scores = {score.clip: score for score in read(run.folder / "scores.jsonl")}
    assert {name: scores[name].value for name in "abc"} == dict.fromkeys("abc", 1.0), "no clip was coded meanwhile"
    assert scores["fails"].reason == "ValueError: this clip is not for this device"
    marks = [path.name.split("-") for path in (tmp_path / "marks").iterdir()]
    codec = {process for what, process, _ in marks if what == "codec"}
    workers = {process for what, process, _ in marks if what == "metric"}
    assert len(codec) == 1
    assert len(workers) == 2
    assert not codec & workers
    for process in codec:
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)


def test_a_plan_for_the_cpu_is_left_alone(tmp_path):
    plan = Plan((OnDevice(str(tmp_path), device="cpu"),), ("si_snr",))
    with accelerated(plan, multiprocessing.get_context("spawn")) as same:
        assert same is plan
    shared = Shared(plan.systems[0], "no such place", b"")
    assert shared.points == plan.systems[0].points
    assert shared.describe() == plan.systems[0].describe()
    assert shared.packages == ()
