"""A run that is killed again and again gives the scores of one that is not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from encodec_eval.datasets import bundled_set
from encodec_eval.run.journal import read
from encodec_eval.systems import Encodec, Opus
from tests import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="needs process groups")]
KILLS = 50
TIMING = ("x_realtime_encode", "x_realtime_decode")


def run_command(folder: Path, jobs: int) -> list[str]:
    return [sys.executable, "-m", "tests.encodec_eval.run.test_kill", str(folder), str(jobs)]


def evaluate(folder: Path, jobs: int) -> None:
    """The run under test, without the report that `python -m encodec_eval` goes on to write."""
    from dataclasses import replace

    from encodec_eval.datasets import middle
    from encodec_eval.metrics import choose
    from encodec_eval.run.local import LocalEngine
    from encodec_eval.run.runner import Run, execute
    from encodec_eval.run.worker import Plan

    bundled = bundled_set("librispeech-mini")
    clip_set = replace(bundled, clips=[middle(clip, 2.0) for clip in bundled.clips])
    systems = (Encodec("encodec_24khz_tiny"), Opus((6, 12)))
    plan = Plan(systems, tuple(choose(["pesq", "stoi", "si_snr", "log_mel"])), str(folder / "codes"))
    execute(Run(folder, clip_set, plan, {}, []), lambda plan: LocalEngine(plan, jobs))


def children(pid: int) -> list[int]:
    """All processes below one, those of a fork server included."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
        except (OSError, IndexError):
            continue
    return found + [grandchild for child in found for grandchild in children(child)]


def kill(process: subprocess.Popen, generator: random.Random) -> None:
    """Kill a worker, or the run with everything below it."""
    below = children(process.pid)
    if below and generator.random() < 0.5:
        os.kill(generator.choice(below), signal.SIGKILL)
    else:
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds workers in /proc")
def test_fifty_kills_change_no_digit(tmp_path):
    subprocess.run(run_command(tmp_path / "whole", 1), cwd=ROOT, check=True)
    whole = [score for score in read(tmp_path / "whole/scores.jsonl") if score.metric not in TIMING]
    generator = random.Random(0)
    folder, kills, sessions = tmp_path / "killed", 0, 0
    journal = folder / "scores.jsonl"
    process = None
    while process is None or process.poll() != 0:
        if process is None or process.poll() is not None:
            sessions += 1
            assert sessions <= 2 * KILLS, "the run does not end"
            process = subprocess.Popen(
                run_command(folder, generator.choice([1, 2, 3])), cwd=ROOT, start_new_session=True
            )
        if kills < KILLS:
            size = journal.stat().st_size if journal.exists() else 0
            while process.poll() is None and (not journal.exists() or journal.stat().st_size == size):
                time.sleep(0.002)
            time.sleep(generator.uniform(0, 0.1))
            if process.poll() is None:
                kill(process, generator)
                kills += 1
        time.sleep(0.01)
    found = [score for score in read(journal) if score.metric not in TIMING]
    assert kills == KILLS, f"the run was complete after {kills} kills"
    assert sessions > 10
    different = [(one, other) for one, other in zip(whole, found, strict=True) if one != other]
    assert not different, f"{len(different)} of {len(whole)} differ, first {different[0]}"
    codes = sorted(path.relative_to(folder) for path in folder.rglob("*.npy"))
    assert len(codes) == 30
    assert all((folder / path).read_bytes() == (tmp_path / "whole" / path).read_bytes() for path in codes)


if __name__ == "__main__":
    evaluate(Path(sys.argv[1]), int(sys.argv[2]))
