"""Runs: complete, resumed, killed, refused; workers that die; failures as data."""

import errno
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile as sf
import torch

from codec.hub import BUNDLED_FOLDER
from encodec_eval.__main__ import main
from encodec_eval.datasets import ClipSet, bundled_set, load_set
from encodec_eval.metrics import choose
from encodec_eval.report import results
from encodec_eval.run.engine import Died
from encodec_eval.run.journal import Journal, codes_path, read
from encodec_eval.run.local import LocalEngine
from encodec_eval.run.runner import Run, describe_clip, execute
from encodec_eval.run.worker import Job, MachineError, Plan, Worker
from encodec_eval.systems import Encodec, Identity, Lowpass, Opus, Tokenizer
from encodec_eval.types import EvalError, Score
from tests import ROOT
from tests.encodec_eval import fakes
from tests.encodec_eval.test_datasets import bad_files

RATES = ("bitrate_nominal", "bitrate_payload", "bitrate_file", "bitrate_entropy")
RATES += ("x_realtime_encode", "x_realtime_decode")


@pytest.fixture(scope="module")
def clip_set(tmp_path_factory) -> ClipSet:
    folder = tmp_path_factory.mktemp("audio")
    for n in range(4):
        noise = np.random.default_rng(n).normal(0, 0.1, 16000 + 100 * n)
        sf.write(folder / f"clip{n}.wav", noise, 16000)
    return load_set(str(folder))


def run_of(folder: Path, clip_set: ClipSet, *systems, metrics=("si_snr",)) -> Run:
    return Run(folder, clip_set, Plan(systems, tuple(choose(list(metrics)))), {"seed": 0}, ["--set", "x"])


def one_process(plan: Plan):
    """An engine without processes, for tests of what stands around engines."""

    class Inline:
        def run(self, queue):
            worker = Worker(plan)
            while queue:
                job = queue.popleft()
                for scores in worker.run(job):
                    yield job, scores

    return Inline()


def test_a_run_is_complete_ordered_and_repeatable(tmp_path, clip_set):
    runs = [run_of(tmp_path / name, clip_set, Lowpass((3500,)), Opus((24,))) for name in "ab"]
    for run in runs:
        execute(run, one_process)
    first, second = (read(run.folder / "scores.jsonl") for run in runs)
    assert [(s.clip, s.point, s.metric) for s in first] == runs[0].keys
    timing = ("x_realtime_encode", "x_realtime_decode")
    assert [s for s in first if s.metric not in timing] == [s for s in second if s.metric not in timing]
    config = json.loads((tmp_path / "a/config.json").read_text())
    assert config["sessions"][0]["command"] == "python -m encodec_eval --set x"
    assert config["settings"]["file_list_sha256"] == clip_set.file_list_sha256


def test_broken_systems_get_their_reasons_and_the_others_their_scores(tmp_path, clip_set):
    names = ("silence", "nan", "truncated", "delayed", "polarity", "noisy", "raises")
    run = run_of(tmp_path, clip_set, *(fakes.Fake(name, getattr(fakes, name)) for name in names))
    execute(run, one_process)
    found = {s.point: s for s in read(tmp_path / "scores.jsonl") if s.metric == "si_snr" and s.clip == "clip0"}
    assert {name: found[name].reason for name in names if found[name].value is None} == {
        "silence": "the output is silent (peak below 1e-05)",
        "nan": "the output holds NaN or infinite samples",
        "truncated": "the output is 0.500 s shorter than the clip",
        "polarity": "the estimate has no error: SI-SNR is infinite",
        "raises": "RuntimeError: this system is broken",
    }
    assert found["delayed"].value == pytest.approx(found["noisy"].value, abs=0.2)
    lag = next(s for s in read(tmp_path / "scores.jsonl") if s.point == "delayed" and s.metric == "lag_ms")
    assert lag.value == pytest.approx(20)
    table = results.summarize(results.load(tmp_path))
    row = table[(table.point == "nan") & (table.metric == "si_snr")].iloc[0]
    assert (row.n_scored, row.n_total) == (0, 4)
    assert np.isnan(row["mean"])


def test_an_unreadable_clip_is_a_failure_of_that_clip(tmp_path, clip_set):
    sf.write(tmp_path / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    worker = Worker(Plan((Identity(),), ("stoi",)))
    clip = load_set(str(tmp_path)).clips[0]
    ((score,),) = worker.run(Job(clip, (("identity", "stoi"),)))
    assert score.value is None
    assert "holds NaN or infinite samples" in score.reason


def test_a_worker_that_dies_once_costs_nothing(tmp_path, clip_set):
    run = run_of(tmp_path / "run", clip_set, fakes.Deadly("clip1", 1, str(tmp_path)))
    execute(run, lambda plan: LocalEngine(plan, 2))
    scores = read(run.folder / "scores.jsonl")
    assert [(s.clip, s.point, s.metric) for s in scores] == run.keys
    assert all(s.value is not None for s in scores if s.metric == "si_snr")
    assert (tmp_path / "death-0").exists()


def test_what_workers_died_on_waits_and_the_next_run_tries_it_again(tmp_path, clip_set):
    run = run_of(tmp_path / "run", clip_set, fakes.Deadly("clip1", 3, str(tmp_path)))
    run = replace(run, plan=replace(run.plan, metrics=("si_snr", "lag_ms", *RATES)))
    execute(run, lambda plan: LocalEngine(plan, 1))
    found = {(s.clip, s.metric) for s in read(run.folder / "scores.jsonl")}
    assert {key[::2] for key in run.keys} - found == {("clip1", "si_snr"), ("clip1", "lag_ms")}
    partial = results.load(run.folder)
    assert (partial.waiting, partial.missing) == (2, 0)
    assert partial.table("si_snr").loc["clip1"].isna().all()
    (reason,) = partial.scores.query("clip == 'clip1' and metric == 'si_snr'").reason
    assert reason == (
        "waits for the next run: the worker was killed by SIGKILL while it computed si_snr, and again alone"
    )
    assert main(["report", str(run.folder)]) == 0
    assert "(2 of 32 scores wait: run the same command again)" in (run.folder / "report.md").read_text()
    execute(run, lambda plan: LocalEngine(plan, 1))
    whole = results.load(run.folder)
    assert (whole.waiting, whole.missing) == (0, 0)
    assert [(s.clip, s.point, s.metric) for s in read(run.folder / "scores.jsonl")] == run.keys
    assert whole.table("si_snr").notna().all(axis=None)


def test_a_clip_that_always_kills_its_worker_does_not_end_a_run_that_has_scores(tmp_path, clip_set):
    run = run_of(tmp_path / "run", clip_set, fakes.Deadly("clip1", 99, str(tmp_path)))
    rest = replace(run, clip_set=replace(clip_set, clips=[clip for clip in clip_set.clips if clip.id != "clip1"]))
    execute(rest, one_process)
    config = json.loads((run.folder / "config.json").read_text())
    config["settings"]["file_list_sha256"] = clip_set.file_list_sha256
    config["clips"] = [describe_clip(clip) for clip in clip_set.clips]
    (run.folder / "config.json").write_text(json.dumps(config))
    with mock.patch("encodec_eval.run.runner.DEATHS_IN_A_ROW", 2):
        execute(run, lambda plan: LocalEngine(plan, 1))
    assert results.load(run.folder).waiting == len(run.plan.cells)


def test_workers_that_die_on_everything_end_the_run(tmp_path, clip_set):
    class Hopeless:
        def run(self, queue):
            while queue:
                yield queue.popleft(), Died("exited with 1")

    run = run_of(tmp_path, clip_set, Identity())
    with pytest.raises(EvalError, match="20 workers died one after the other without a score; the last exited with 1"):
        execute(run, lambda plan: Hopeless())


def test_a_worker_that_dies_after_its_score_costs_nothing(tmp_path, clip_set):
    class DiesLate:
        def run(self, queue):
            while queue:
                job = queue.popleft()
                for scores in Worker(run.plan).run(job):
                    yield job, scores
                yield job, Died("exited with 1")

    run = run_of(tmp_path, clip_set, Identity())
    run = replace(run, plan=replace(run.plan, metrics=("stoi",)))
    execute(run, lambda plan: DiesLate())
    assert [(s.clip, s.point, s.metric) for s in read(tmp_path / "scores.jsonl")] == run.keys
    assert not (tmp_path / "waiting.jsonl").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOSPC, "No space left on device"),
        TimeoutError("a lock"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
)
def test_what_the_machine_did_is_no_result(clip_set, error):
    def fail(wav, sample_rate):
        raise error

    job = Job(clip_set.clips[0], (("fails", "si_snr"),))
    with pytest.raises(MachineError, match=type(error).__name__):
        list(Worker(Plan((fakes.Fake("fails", fail),), ("si_snr",))).run(job))
    with (
        mock.patch("encodec_eval.run.worker.measure", side_effect=error),
        pytest.raises(MachineError, match=type(error).__name__),
    ):
        list(Worker(Plan((fakes.Fake("fails", fakes.noisy),), ("si_snr",))).run(job))


def test_a_worker_without_memory_says_so_and_the_cells_wait(tmp_path, clip_set):
    run = run_of(tmp_path, clip_set, Identity(), fakes.Fake("hungry", fakes.out_of_memory))
    run = replace(run, plan=replace(run.plan, metrics=("stoi",)), clip_set=replace(clip_set, clips=clip_set.clips[:2]))
    execute(run, lambda plan: LocalEngine(plan, 1))
    assert {s.point for s in read(tmp_path / "scores.jsonl")} == {"identity"}
    waiting = read(tmp_path / "waiting.jsonl")
    assert [(s.clip, s.point) for s in waiting] == [("clip1", "hungry"), ("clip0", "hungry")]
    assert "the worker was failed by its machine (MemoryError) while" in waiting[0].reason


def test_a_clip_that_is_no_longer_there_is_no_result(clip_set):
    gone = replace(clip_set.clips[0], path="/no/such/file.wav")
    with pytest.raises(MachineError, match="is no longer there"):
        list(Worker(Plan((Identity(),), ("stoi",))).run(Job(gone, (("identity", "stoi"),))))


def test_a_checkpoint_that_cannot_be_loaded_ends_the_run_and_is_no_result(tmp_path, capsys):
    shutil.copytree(BUNDLED_FOLDER / "encodec_24khz_tiny", tmp_path / "model")
    (tmp_path / "model/model.safetensors").write_bytes(b"damaged")
    arguments = ["--set", "librispeech-mini", "--model", str(tmp_path / "model"), "--jobs", "1"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 2
    assert "model.safetensors" in capsys.readouterr().err.splitlines()[-1]
    assert read(tmp_path / "run/scores.jsonl") == []


def test_what_is_left_of_a_clip_gets_the_digits_of_the_whole(tmp_path):
    clip = bundled_set("librispeech-mini").clips[8]
    system = Encodec("encodec_24khz_tiny")
    plan = Plan((system,), ("si_snr",), str(tmp_path))
    whole = {s.point: s.value for scores in Worker(plan).run(Job(clip, tuple(plan.cells))) for s in scores}
    codes = codes_path(str(tmp_path), "encodec_24khz_tiny", clip.id)
    before = np.load(codes)
    for cells in ((plan.cells[0],), tuple(plan.cells[1:3]), (plan.cells[4],)):
        part = {s.point: s.value for scores in Worker(plan).run(Job(clip, cells)) for s in scores}
        assert part == {point: whole[point] for point, _ in cells}
        assert np.array_equal(np.load(codes), before), "the codes of the highest rate were lost"


def test_a_run_resumes_from_its_journal(tmp_path, clip_set):
    run = run_of(tmp_path, clip_set, Lowpass((3500,)))
    execute(run, one_process)
    path = tmp_path / "scores.jsonl"
    whole = path.read_text().splitlines(keepends=True)
    kept = whole[: len(whole) // 2]
    path.write_text("".join(kept) + whole[len(kept)][:20])  # a kill in the middle of a line
    with pytest.raises(EvalError, match="is damaged"):
        read(path)
    done: list[Job] = []

    def counting(plan):
        inner = one_process(plan)

        class Engine:
            def run(self, queue):
                done.extend(queue)
                return inner.run(queue)

        return Engine()

    execute(run, counting)
    assert sum(len(job.cells) for job in done) == len(whole) - len(kept)
    assert path.read_text().splitlines(keepends=True)[: len(kept)] == kept
    assert len(path.read_text().splitlines()) == len(whole)


def test_other_settings_are_refused_and_overwritten_on_request(tmp_path, clip_set):
    execute(run_of(tmp_path, clip_set, Identity()), one_process)
    other = run_of(tmp_path, clip_set, Lowpass((3500,)), metrics=("si_snr", "log_mel"))
    with pytest.raises(EvalError, match=r"other settings \(metrics, systems\): use another --out, or --overwrite"):
        execute(other, one_process)
    execute(other, one_process, overwrite=True)
    assert {s.point for s in read(tmp_path / "scores.jsonl")} == {"lowpass@3.5k"}


def test_versions_count_for_the_packages_that_a_run_uses(tmp_path, clip_set):
    run = run_of(tmp_path, clip_set, Identity(), metrics=("si_snr",))
    assert run.settings["versions"].keys() == {"torch", "torchaudio", "numpy", "scipy", "soundfile"}
    scored = run_of(tmp_path, clip_set, Identity(), metrics=("pesq", "stoi"))
    assert scored.settings["versions"].keys() - run.settings["versions"].keys() == {"pesq", "pystoi"}
    assert "transformers" in run_of(tmp_path, clip_set, Tokenizer("a"), metrics=()).packages
    assert "visqol-python" in replace(run, plan=replace(run.plan, metrics=("visqol_audio",))).packages


def rewrite_versions(folder: Path, **versions: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["settings"]["versions"] |= versions
    (folder / "config.json").write_text(json.dumps(config))


def test_a_run_resumes_where_another_package_was_installed(tmp_path, clip_set):
    run = run_of(tmp_path, clip_set, Identity())
    execute(run, one_process)
    before = (tmp_path / "scores.jsonl").read_bytes()
    rewrite_versions(tmp_path, **{"visqol-python": "3.8.0", "transformers": "5.23.0"})
    execute(run, one_process)
    assert (tmp_path / "scores.jsonl").read_bytes() == before


def test_another_version_is_named_before_any_progress_bar(tmp_path, clip_set, capsys):
    arguments = ["--set", clip_set.clips[0].path, "--systems", "identity", "--metrics", "log_mel", "--jobs", "1"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert "score/s" in capsys.readouterr().err
    rewrite_versions(tmp_path, scipy="1.0.0")
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"(scipy 1.0.0 there, {importlib.metadata.version('scipy')} here): use another --out, or --over" in error
    assert "score/s" not in error
    assert main([*arguments, "--out", str(tmp_path), "--overwrite"]) == 0


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="needs a folder that root cannot write to either")
def test_a_folder_without_write_permission_is_one_line(clip_set, capsys):
    arguments = ["--set", clip_set.clips[0].path, "--systems", "identity", "--out", "/sys/run"]
    assert main(arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: cannot write to /sys/run (")
    assert error.endswith("choose another folder with --out")


def test_two_processes_cannot_share_a_folder(tmp_path, clip_set):
    with Journal(tmp_path), pytest.raises(EvalError, match="another process is working in"):
        execute(run_of(tmp_path, clip_set, Identity()), one_process)
    execute(run_of(tmp_path, clip_set, Identity()), one_process)


def test_an_incomplete_run_has_no_table(tmp_path, clip_set):
    run = run_of(tmp_path, clip_set, Identity(), metrics=("log_mel",))
    execute(run, one_process)
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(EvalError, match="is incomplete: 31 of 32 scores"):
        results.load(tmp_path)
    assert main(["report", str(tmp_path)]) == 2
    assert main(["report", str(tmp_path), "--partial"]) == 0
    assert "(partial: 1 scores are missing)" in (tmp_path / "report.md").read_text().splitlines()[0]


def test_a_journal_never_holds_a_number_that_is_none(tmp_path):
    with Journal(tmp_path) as journal, pytest.raises(ValueError, match="not JSON compliant"):
        journal.append([Score("a", "b", "c", float("nan"))])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_sigterm_says_what_ctrl_c_says(number, code, monkeypatch, capsys):
    def stopped(arguments):
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr("encodec_eval.commands.evaluate.main", stopped)
    before = signal.getsignal(signal.SIGTERM)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        assert main([]) == code
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert "stopped; finished scores are on disk, and the same command resumes from there" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_kill_9_and_the_same_command_resumes(tmp_path):
    for n in range(12):
        noise = np.random.default_rng(n).normal(0, 0.1, 48000)
        sf.write(tmp_path / f"clip{n:02}.wav", noise, 16000)
    arguments = ["--set", str(tmp_path), "--systems", "opus", "--metrics", "si_snr", "--jobs", "1", "--out"]
    command = [sys.executable, "-m", "encodec_eval", *arguments, str(tmp_path / "run")]
    journal = tmp_path / "run/scores.jsonl"
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 60):
        assert time.monotonic() < deadline, "the run wrote nothing"
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = journal.read_text()
    before = before[: before.rfind("\n") + 1].splitlines()
    assert not (tmp_path / "run/report.md").exists()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = journal.read_text().splitlines()
    expected = 12 * 5 * len(choose(["si_snr"]))
    assert 60 <= len(before) < expected
    assert after[: len(before)] == before, "finished scores, their timings included, were computed again"
    assert len(after) == expected
    assert (tmp_path / "run/report.md").exists()


def test_bad_files_do_not_cost_the_report(tmp_path, capsys):
    folder = tmp_path / "audio"
    folder.mkdir()
    for clip in bundled_set("librispeech-mini").clips[:2]:
        shutil.copy(clip.path, folder)
    bad_files(folder)
    arguments = ["--set", str(folder), "--model", "encodec_24khz_tiny", "--metrics", "si_snr", "--jobs", "1"]
    assert main([*arguments, "--strict", "--out", str(tmp_path / "strict")]) == 2
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    report = (tmp_path / "run/report.md").read_text()
    assert "[3/4]" in report
    for text in ("## Skipped files", "b_empty.wav", "c_eight.wav", "d_garbage.flac", "## Codebook usage", "| 3/4 "):
        assert text in report
    assert re.search(r"AudioError: .*e_truncated.flac", report)
    assert (tmp_path / "run/codebooks.png").exists()
    assert "3/4 clips of encodec_24khz_tiny" in (tmp_path / "run/codebooks.svg").read_text()


@pytest.mark.slow
def test_ctrl_c_ends_in_one_line_and_the_same_command_resumes(tmp_path):
    for n in range(12):
        sf.write(tmp_path / f"clip{n:02}.wav", np.random.default_rng(n).normal(0, 0.1, 48000), 16000)
    arguments = ["--set", str(tmp_path), "--systems", "opus", "--metrics", "si_snr", "--jobs", "1", "--out"]
    command = [sys.executable, "-m", "encodec_eval", *arguments, str(tmp_path / "run")]
    journal = tmp_path / "run/scores.jsonl"
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 60):
        assert process.poll() is None, "the run ended before it could be stopped"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to the workers too
    _, error = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in error
    assert error.splitlines()[-1] == ("stopped; finished scores are on disk, and the same command resumes from there")
    before = journal.read_text().splitlines()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert journal.read_text().splitlines()[: len(before)] == before


def test_results_of_users_are_ignored_and_ours_stand_elsewhere():
    def ignored(path: str) -> bool:
        return subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", path], check=False).returncode == 0

    if subprocess.run(["git", "-C", str(ROOT), "rev-parse"], check=False, capture_output=True).returncode:
        pytest.skip("not a git checkout")
    assert ignored("results/librispeech-mini_encodec_24khz_tiny/summary.csv")
    assert ignored("results/speed/speed.md")
    assert not ignored("results/reference/any/summary.csv")
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "results"], check=True, capture_output=True, text=True
    )
    assert {line.split("/")[1] for line in tracked.stdout.splitlines()} <= {"app", "reference"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "nonsense"],
        ["--metrics", "mos"],
        ["--systems", "winamp"],
        ["--bandwidths", "7", "--model", "encodec_24khz_tiny"],
        ["--model", "no_such_model"],
        ["--limit", "0"],
        ["--max-seconds", "0.1"],
        ["--jobs", "0"],
        ["--system", "evs"],
        ["--bitrate", "evs=6"],
        ["--bitrate", "evs=fast"],
        ["--bitrate", "evs=0"],
        ["--reference", "winamp", "--model", "encodec_24khz_tiny"],
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = arguments if "--set" in arguments else ["--set", "librispeech-mini", *arguments]
    assert main(given) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert not (tmp_path / "results").exists()


def test_a_torchaudio_that_does_not_fit_is_named_with_its_cure_and_other_failures_are_not_hidden(monkeypatch, capsys):
    unfit = RuntimeError("Detected that PyTorch and TorchAudio were compiled with different CUDA versions.")
    for error in (unfit, OSError("libc10_cuda.so: cannot open shared object file")):
        monkeypatch.setattr(importlib, "import_module", mock.Mock(side_effect=error))
        assert main(["sets"]) == 2
        assert "pip install --force-reinstall 'torch<2.15' torchaudio" in capsys.readouterr().err
    monkeypatch.setattr(importlib, "import_module", mock.Mock(side_effect=RuntimeError("a bug of ours")))
    with pytest.raises(RuntimeError, match="a bug of ours"):
        main(["sets"])
