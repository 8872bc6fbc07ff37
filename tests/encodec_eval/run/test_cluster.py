"""The Ray engine on a local cluster of two workers."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from encodec_eval.datasets import load_set
from encodec_eval.metrics import choose
from encodec_eval.run.cluster import RayEngine
from encodec_eval.run.journal import read
from encodec_eval.run.local import LocalEngine
from encodec_eval.run.runner import Run, execute
from encodec_eval.run.worker import Plan
from encodec_eval.systems import Encodec, Identity
from encodec_eval.types import EvalError
from tests.encodec_eval import fakes

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
TIMING = ("x_realtime_encode", "x_realtime_decode")


@pytest.fixture(scope="module", autouse=True)
def environment_of_the_actors():
    """Ray's workers are new interpreters that find this project by PYTHONPATH, and by default run at niceness 15."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.getcwd())
        patch.setenv("RAY_worker_niceness", "0")
        yield


def run_of(folder, audio, *systems, metrics=("si_snr", "stoi")) -> Run:
    return Run(folder, load_set(str(audio)), Plan(systems, tuple(choose(list(metrics)))), {}, [])


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    for n in range(4):
        sf.write(folder / f"clip{n}.wav", np.random.default_rng(n).normal(0, 0.1, 16000 + 100 * n), 16000)
    return folder


def test_ray_gives_the_scores_of_the_local_engine_to_the_last_digit(tmp_path, audio):
    system = Encodec("encodec_24khz_tiny", (1.5, 6.0))
    local, cluster = run_of(tmp_path / "local", audio, system), run_of(tmp_path / "ray", audio, system)
    execute(local, lambda plan: LocalEngine(plan, 1))
    execute(cluster, lambda plan: RayEngine(plan, 2, None, gpus=False))
    ours, theirs = (
        [s for s in read(run.folder / "scores.jsonl") if s.metric not in TIMING] for run in (local, cluster)
    )
    assert ours == theirs
    assert all(s.value is not None for s in ours if s.metric == "si_snr")


def test_an_actor_killed_in_mid_run_costs_nothing(tmp_path, audio):
    run = run_of(tmp_path / "run", audio, fakes.Deadly("clip1", 1, str(tmp_path)))
    execute(run, lambda plan: RayEngine(plan, 2, None, gpus=False))
    scores = read(run.folder / "scores.jsonl")
    assert [(s.clip, s.point, s.metric) for s in scores] == run.keys
    assert all(s.value is not None for s in scores if s.metric in ("si_snr", "stoi"))
    assert (tmp_path / "death-0").exists()


def test_what_an_actor_died_on_waits_for_the_next_run(tmp_path, audio):
    run = run_of(tmp_path / "run", audio, fakes.Deadly("clip1", 2, str(tmp_path)), metrics=("si_snr",))
    run = Run(run.folder, run.clip_set, Plan(run.plan.systems, ("si_snr",)), {}, [])
    execute(run, lambda plan: RayEngine(plan, 2, None, gpus=False))
    assert {s.clip for s in read(run.folder / "scores.jsonl")} == {"clip0", "clip2", "clip3"}
    (waiting,) = read(run.folder / "waiting.jsonl")
    assert "was killed on the cluster while it computed si_snr, and again alone" in waiting.reason
    execute(run, lambda plan: RayEngine(plan, 2, None, gpus=False))
    assert [s.value is not None for s in read(run.folder / "scores.jsonl")] == [True] * 4
    assert not (run.folder / "waiting.jsonl").exists()


def test_an_actor_without_memory_says_so(tmp_path, audio):
    run = run_of(tmp_path / "run", audio, Identity(), fakes.Fake("hungry", fakes.out_of_memory))
    run = Run(run.folder, run.clip_set, Plan(run.plan.systems, ("stoi",)), {}, [])
    execute(run, lambda plan: RayEngine(plan, 2, None, gpus=False))
    waiting = read(run.folder / "waiting.jsonl")
    assert len(waiting) == 4
    assert "(MemoryError) while it computed stoi, and again alone" in waiting[0].reason


@pytest.fixture
def two_nodes():
    """A cluster of two nodes with one CPU each, on this machine."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster, second
    cluster.shutdown()


def test_a_node_killed_in_mid_run_costs_no_score_and_no_digit(tmp_path, audio, two_nodes):
    """There is no room for another actor then: the one that is left does the rest."""
    cluster, second = two_nodes
    system = Encodec("encodec_24khz_tiny", (1.5, 6.0))
    alone, run = run_of(tmp_path / "local", audio, system), run_of(tmp_path / "ray", audio, system)
    execute(alone, lambda plan: LocalEngine(plan, 1))
    killed = []

    def progress(count: int) -> None:
        if count and not killed:
            killed.append(count)
            cluster.remove_node(second, allow_graceful=False)

    execute(run, lambda plan: RayEngine(plan, 2, cluster.address, gpus=False), progress=progress)
    assert killed
    ours, theirs = ([s for s in read(each.folder / "scores.jsonl") if s.metric not in TIMING] for each in (alone, run))
    assert theirs == ours
    assert [(s.clip, s.point, s.metric) for s in read(run.folder / "scores.jsonl")] == run.keys
    assert not (run.folder / "waiting.jsonl").exists()


def kill_raylet_below(pid: int) -> None:
    """End the node of the cluster that a process started."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        name, _, rest = path.read_text().rpartition(")")
        if name.endswith("(raylet") and int(rest.split()[1]) == pid:
            os.kill(int(path.parent.name), signal.SIGKILL)
            return
    raise AssertionError("no raylet found")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the node's process in /proc")
def test_a_lost_cluster_ends_with_a_message_and_the_run_resumes(tmp_path, audio):
    run = run_of(tmp_path / "run", audio, fakes.Fake("slow", fakes.slow))
    killed = []

    def progress(count: int) -> None:
        if count and not killed:
            killed.append(count)
            kill_raylet_below(os.getpid())

    with pytest.raises(EvalError, match=r"cluster is lost: .* does not answer .* the same command resumes"):
        execute(run, lambda plan: RayEngine(plan, 1, None, gpus=False), progress=progress)
    assert 0 < len(read(run.folder / "scores.jsonl")) < len(run.keys)
    execute(run, lambda plan: LocalEngine(plan, 1))
    assert [(s.clip, s.point, s.metric) for s in read(run.folder / "scores.jsonl")] == run.keys
