"""Systems and metrics of others: what they get wrong is a reason, and nothing worse."""

import argparse
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from encodec_eval import systems
from encodec_eval.__main__ import main
from encodec_eval.datasets import bundled_set, load_set
from encodec_eval.plugins import metrics as plugged
from encodec_eval.plugins import outside, spec
from encodec_eval.plugins.host import Host, PluginError
from encodec_eval.plugins.outside import PluginFunction, PluginSystem
from encodec_eval.plugins.spec import Spec
from encodec_eval.report import leaderboard, results
from encodec_eval.run.journal import read
from encodec_eval.run.worker import Job, Plan, Worker
from encodec_eval.types import EvalError, Point
from tests import ROOT

EXAMPLE = ROOT / "tests/plugin_example"


@pytest.fixture(scope="module")
def host():
    """One process for all that does not end it."""
    made = Host()
    yield made
    made.close()


@pytest.fixture
def inline(host, monkeypatch):
    """What asks for a host gets that one."""
    monkeypatch.setattr(outside, "host_of", lambda spec: host)
    monkeypatch.setattr(outside, "Host", lambda: host)
    monkeypatch.setattr(host, "close", lambda: None)


@pytest.fixture
def faulty(inline):
    return PluginSystem.of(Spec(f"{EXAMPLE}/faulty_codec.py:Faulty"), "cpu", 60)


@pytest.fixture
def noise():
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 16000)).astype(np.float32))


def score_of(system, name: str, tmp_path: Path, noise, metrics=("si_snr",), plugins=()):
    path = tmp_path / f"{name}.wav"
    sf.write(path, noise[0].numpy(), 16000)
    (clip,) = load_set(str(path)).clips
    plan = Plan((system,), metrics, plugins=plugins)
    return [score for scores in Worker(plan).run(Job(clip, tuple(plan.cells))) for score in scores]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raise", "RuntimeError: this codec is broken (faulty_codec.py, line N)"),
        ("exit", "SystemExit: 3 (faulty_codec.py, line N)"),
        ("memory", "MemoryError (faulty_codec.py, line N)"),
        ("nan", "the output holds NaN or infinite samples"),
        ("rate", "the output is 0.500 s shorter than the clip"),
        ("no rate", "the output has 0 Hz; expected 1000 to 768000"),
        ("shape", "the output has shape [8000]; expected [1 or 2, samples]"),
        ("numpy", "the audio of mulaw@64 is a ndarray; expected a float tensor [C, T]"),
        ("point", "process returned the points other; expected mulaw@64"),
        ("lazy", "process returned the points none; expected mulaw@64"),
        ("size", "ValueError: could not convert string to float: 'many'"),
    ],
)
def test_what_a_codec_gets_wrong_is_the_reason(faulty, tmp_path, noise, name, reason):
    (score,) = score_of(faulty, name, tmp_path, noise)
    assert score.value is None
    assert re.sub(r"line \d+", "line N", score.reason) == reason


def test_a_good_clip_is_scored_and_what_is_printed_is_no_answer(faulty, tmp_path, noise):
    (score,) = score_of(faulty, "good", tmp_path, noise)
    assert score.value == pytest.approx(-0.05, abs=5), "mu-law at 8 kHz keeps half of white noise"
    assert score.reason is None


def test_a_class_is_described_before_anything_runs(inline):
    system = PluginSystem.of(Spec.parse(f"{EXAMPLE}/my_codec.py:MuLaw?kbps=64,32&title=A"), "cpu", 60)
    assert system.points == [Point("A@32", "A", 32), Point("A@64", "A", 64)]
    record = system.describe()
    assert record["system"] == "my_codec.py:MuLaw"
    assert record["options"] == {"kbps": "64,32"}
    assert len(record["code_sha256"]) == 64
    outputs = system.process(torch.zeros(1, 8000), 16000, system.points[1:])
    assert [output.point for output in outputs] == system.points[1:]
    assert outputs[0].payload_bytes == 4000


def test_a_file_that_an_option_names_is_part_of_the_record(inline, tmp_path):
    (tmp_path / "weights").write_text("1")
    path = tmp_path / "c.py"
    path.write_text(
        "from encodec_eval.types import Point\n"
        "class C:\n"
        "    def __init__(self, checkpoint, device='x'):\n"
        "        self.points = [Point(device, device)]\n"
        "    def process(self, *given): ...\n"
    )
    named = Spec.parse(f"{path}:C?checkpoint={tmp_path}/weights")
    before = PluginSystem.of(named, "cuda:7", 60)
    assert before.points[0].name == "cuda:7"
    (tmp_path / "weights").write_text("2")
    assert PluginSystem.of(named, "cuda:7", 60).record != before.record


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{EXAMPLE}/my_codec.py:Nothing", "my_codec has no Nothing|my_codec.py has no Nothing"),
        (f"{EXAMPLE}/my_codec.py:MuLaw?kbps=fast", "option kbps=fast of .*: expected a number of type float"),
        (f"{EXAMPLE}/my_metric.py:Level", "has no points; a system has points and process"),
        ("encodec_eval.types:Point?name=a&series=b", "has no points"),
        (f"{EXAMPLE}/faulty_codec.py:Vague", "TypeError: Object of type object is not JSON serializable"),
    ],
)
def test_what_is_no_system_is_refused_at_once(inline, text, message):
    with pytest.raises(EvalError, match=f"cannot be used: .*({message})"):
        PluginSystem.of(Spec.parse(text), "cpu", 60)


def test_metrics_of_a_file(inline, tmp_path, noise, faulty):
    target = f"{EXAMPLE}/my_metric.py"
    names, plugins = plugged.add(["stoi", f"{target}:Level", f"{target}:PEAK", f"{target}:Broken?floor=0.1"], 60)
    assert names == ["stoi", "level", "peak", "broken"]
    assert (plugins[0].title, plugins[0].unit, plugins[0].higher_is_better) == ("Level", "dB", None)
    assert json.loads(plugins[2].record)["options"] == {"floor": "0.1"}
    found = {score.metric: score for score in score_of(faulty, "good", tmp_path, noise, tuple(names[1:]), plugins)}
    assert found["level"].value == pytest.approx(-3, abs=1)
    assert 0.2 < found["peak"].value < 1
    assert (found["broken"].value, found["broken"].reason) == (None, "the metric returned str, expected a number")
    with pytest.raises(EvalError, match="is called level, as another metric is"):
        plugged.add([f"{target}:Level", f"{target}:Level?floor=1"], 60)
    assert plugged.add(["level?"], 60)[0] == ["level?"], "for `choose` to refuse"
    assert plugged.add(None, 60) == (None, ())


def test_a_metric_may_have_no_value_but_never_a_wrong_one(inline):
    function = PluginFunction(Spec.parse(f"{EXAMPLE}/my_metric.py:Level?floor=1"), 60)
    with pytest.raises(PluginError, match=r"^the reference is below the floor$"):
        function(np.ones(3) / 2, np.ones(3), 8000)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="the metric gave"):
        function(np.ones(3), np.full(3, np.inf), 8000)


def test_installed_packages_offer_systems_and_metrics(inline, monkeypatch):
    points = {
        "encodec_eval.systems": EntryPoint("telephone", f"{EXAMPLE}/my_codec.py:MuLaw", "encodec_eval.systems"),
        "encodec_eval.metrics": EntryPoint("loud", f"{EXAMPLE}/my_metric.py:Level", "encodec_eval.metrics"),
    }
    monkeypatch.setattr(spec, "entry_points", lambda group: [points[group]])
    (system,) = build("telephone?kbps=64")
    assert [point.name for point in system.points] == ["mulaw@64"]
    assert plugged.add(["loud"], 60)[0] == ["level"]
    with pytest.raises(EvalError, match=r"no system 'winamp'; expected .*encodec, .*telephone, MODULE:CLASS, FILE"):
        build("winamp")


def build(*names: str, model: str = "encodec_24khz_tiny") -> list:
    parser = argparse.ArgumentParser()
    systems.add_options(parser)
    return systems.build(parser.parse_args(["--model", *model.split(), "--systems", *names]), [])


def test_our_own_systems_take_options_too():
    tiny = "encodec_24khz_tiny"
    a, b = build(f"encodec?model={tiny}&bandwidths=3,6", f"encodec?model={tiny}&title=B&bandwidths=6&lm=1")
    assert [point.name for point in a.points] == [f"{tiny}@3", f"{tiny}@6"]
    assert [point.name for point in b.points] == ["B@6"]
    assert b.lm
    (opus,) = build("opus?kbps=16,24")
    assert [point.name for point in opus.points] == ["opus@16", "opus@24"]
    with pytest.raises(EvalError, match="opus has no option 'speed'; expected kbps"):
        build("opus?speed=3")
    with pytest.raises(EvalError, match="several systems have the point opus@16; give one a title"):
        build("opus?kbps=16", "opus?kbps=16,24")
    with pytest.raises(EvalError, match="device tpu is not available here"):
        build("encodec?device=tpu")


def test_several_checkpoints_stand_in_one_table():
    a, b = build("encodec", model="encodec_24khz_tiny encodec_48khz_tiny")
    assert {a.points[0].series, b.points[0].series} == {"encodec_24khz_tiny", "encodec_48khz_tiny"}
    a, b = build("encodec?model=encodec_24khz_tiny", "encodec?model=encodec_48khz_tiny")
    assert [a.model, b.model] == ["encodec_24khz_tiny", "encodec_48khz_tiny"]


def test_systems_travel_to_workers():
    system = PluginSystem(Spec("m:C"), "cpu", 1, (Point("a", "a"),), (), "{}")
    assert pickle.loads(pickle.dumps(system)) == system
    assert replace(system, title="b").points == [Point("b", "b")]


def test_a_process_that_died_between_calls_is_replaced(host):
    assert host.call(max, 1, 2, timeout_s=60) == 2
    host._process.kill()
    host._process.wait()
    assert host.call(max, 1, 3, timeout_s=60) == 3


@pytest.mark.slow
def test_a_crash_and_a_loop_end_only_their_own_call(tmp_path, noise):
    system = PluginSystem.of(Spec(f"{EXAMPLE}/faulty_codec.py:Faulty"), "cpu", 2)
    reasons = [score_of(system, name, tmp_path, noise)[0].reason for name in ("crash", "good", "hang", "good")]
    assert reasons == ["its process was killed by SIGSEGV", None, "no result within 2 s (--timeout)", None]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="by the kernel of Linux")
def test_a_loop_ends_with_the_process_that_waits_for_it(tmp_path):
    (tmp_path / "loop.py").write_text(
        "import os, pathlib\n"
        "def loop(path):\n"
        "    pathlib.Path(path).write_text(str(os.getpid()))\n"
        "    while True: pass\n"
    )
    script = "from encodec_eval.plugins.host import Host; import loop, sys; "
    script += "Host().call(loop.loop, sys.argv[1], timeout_s=60)"
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    waiting = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "pid")], env=os.environ | {"PYTHONPATH": path}
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert waiting.poll() is None
    waiting.kill()
    waiting.wait()
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the loop goes on")


@pytest.fixture(scope="module")
def outside_run(tmp_path_factory):
    """The command of the README in an empty folder with nothing but a codec, over four clips."""
    folder = tmp_path_factory.mktemp("empty")
    for name in ("my_codec.py", "faulty_codec.py", "my_metric.py"):
        shutil.copy(EXAMPLE / name, folder)
    clips = sorted(bundled_set("librispeech-mini").clips, key=lambda clip: clip.frames)[:4]
    (folder / "clips").mkdir()
    for clip, name in zip(clips, ("fine", "crash", "hang", "good"), strict=True):
        shutil.copy(clip.path, folder / f"clips/{name}.flac")
    return folder


def command(folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    arguments = ["--set", "clips", "--systems", "faulty_codec.py:Faulty", "my_codec.py:MuLaw?title=whole", "encodec"]
    arguments += ["opus?kbps=12", "--model", "encodec_24khz_tiny", "--bandwidths", "6", "--metrics", "si_snr", "stoi"]
    arguments += ["my_metric.py:Level", "--timeout", "5", "--jobs", "2", "--out", "run", *more]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "encodec_eval", *arguments]
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_codec_of_thirty_lines_from_an_empty_folder(outside_run):
    code = (EXAMPLE / "my_codec.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in code) <= 30
    done = command(outside_run)
    assert done.returncode == 0, done.stderr
    run = results.load(outside_run / "run")
    assert (run.missing, run.waiting) == (0, 0)
    points = ["mulaw@64", "whole@32", "whole@64", "encodec_24khz_tiny@6", "opus@12"]
    assert list(run.points.name) == points
    table = run.table("si_snr")
    assert table["mulaw@64"].isna().tolist() == [True, False, False, True]
    assert table.index.tolist() == ["crash", "fine", "good", "hang"]
    assert table[points[1:]].notna().all(axis=None)
    assert table.loc[["fine", "good"], "mulaw@64"].tolist() == table.loc[["fine", "good"], "whole@64"].tolist()
    reasons = run.scores[run.scores.point.eq("mulaw@64") & run.scores.metric.eq("si_snr")].set_index("clip").reason
    assert reasons["crash"] == "its process was killed by SIGSEGV"
    assert reasons["hang"] == "no result within 5 s (--timeout)"
    assert run.table("level")["whole@64"].abs().max() < 3
    report = (outside_run / "run/report.md").read_text()
    assert "its process was killed by SIGSEGV" in report
    assert run.config["settings"]["plugins"]["level"]["metric"] == "my_metric.py:Level"
    page = leaderboard.write_leaderboard(outside_run, outside_run / "site")
    (row,) = re.findall("<tr.*mulaw@64.*</tr>", page.read_text())
    assert "[2/4]" in row
    heard = (outside_run / "site/clips/0.js").read_text()
    labels = re.findall('"label": "(.*?)"', heard)
    assert labels[0] == "reference"
    assert set(points[1:]) <= set(labels)


@pytest.mark.slow
def test_changed_code_is_another_run(outside_run):
    if not (outside_run / "run").is_dir():
        command(outside_run)
    before = results.load(outside_run / "run").config["settings"]["systems"][0]
    system = Spec(f"{outside_run}/faulty_codec.py:Faulty")
    assert PluginSystem.of(system, "cpu", 5).describe() == before, "the same code would not resume"
    with (outside_run / "my_codec.py").open("a") as file:
        file.write("\n# changed\n")
    refused = command(outside_run)
    assert refused.returncode == 2
    assert "holds a run with other settings (systems): use another --out, or --overwrite" in refused.stderr


def test_what_the_command_refuses(capsys, tmp_path):
    given = ["--set", "librispeech-mini", "--out", str(tmp_path / "run"), "--systems"]
    assert main([*given, "identity", "--timeout", "0"]) == 2
    assert "--timeout takes seconds above 0, not 0" in capsys.readouterr().err
    assert main([*given, "winamp"]) == 2
    assert read(tmp_path / "run/scores.jsonl") == []
