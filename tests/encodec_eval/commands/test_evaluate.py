"""The main command on the bundled recordings, as a user types it."""

import argparse
import json
import re

import pytest

from encodec_eval import corpora
from encodec_eval.__main__ import main
from encodec_eval.commands.evaluate import notes, substitutions
from encodec_eval.report import results
from encodec_eval.run.worker import Plan
from encodec_eval.systems import Encodec, Identity

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> results.Results:
    folder = tmp_path_factory.mktemp("results") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "reachable", lambda url: False)
        patch.setenv("ENCODEC_EVAL_DATA", str(folder.parent / "no corpora here"))
        arguments = ["--set", "librispeech", "--model", "encodec_24khz_tiny", "--limit", "5", "--jobs", "2"]
        assert main([*arguments, "--metrics", "stoi", "si_snr", "--out", str(folder)]) == 0
    return results.load(folder)


def test_it_says_what_it_ran_on(run):
    assert run.set_name == "librispeech-mini"
    report = (run.folder / "report.md").read_text()
    assert "librispeech:test-clean is not under" in report
    assert "encodec_24khz_tiny@1.5" in report
    config = json.loads((run.folder / "config.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", config["settings"]["systems"][0]["checkpoint_sha256"])
    assert config["sessions"][0]["machine"]["cores"] >= 1


def test_a_model_that_stands_in_for_facebooks_is_told():
    plan = Plan((Encodec("encodec_24khz_tiny"),), ("si_snr",))
    (note,) = substitutions(argparse.Namespace(model=None), plan)
    assert note.startswith("facebook/encodec_24khz is neither cached nor downloadable here; this is the bundled")
    assert "encodec_24khz_tiny" in note
    assert substitutions(argparse.Namespace(model=["encodec_24khz_tiny"]), plan) == ()
    assert substitutions(argparse.Namespace(model=None), Plan((Identity(),), ("si_snr",))) == ()


def test_what_a_group_lacks_here_is_told(monkeypatch):
    monkeypatch.setattr("encodec_eval.metrics.installed", lambda package: package != "pyworld")
    given = argparse.Namespace(model=None, metrics=["music", "speech"])
    told = notes(given, Plan((Identity(),), ("si_snr",)))
    assert told[0] == "f0_rmse is left out: it needs pyworld: pip install 'encodec-tools[pitch]'"
    assert len(told) == 2
    assert notes(argparse.Namespace(model=None, metrics=None), Plan((Identity(),), ("si_snr",))) == ()


def test_every_score_is_there_and_quality_rises_with_the_bandwidth(run):
    assert not run.scores[run.scores.metric.isin(["stoi", "si_snr"])].value.isna().any()
    for metric in ("stoi", "si_snr"):
        means = run.table(metric).mean()[list(run.points.name)]
        assert list(run.points.nominal_kbps) == [1.5, 3, 6, 12, 24]
        assert means.is_monotonic_increasing, f"{metric}: {means.to_dict()}"


def test_the_measured_rate_is_the_nominal_one(run):
    measured, nominal = run.table("bitrate_payload").mean(), run.table("bitrate_nominal").mean()
    assert ((measured - nominal).abs() / nominal < 0.005).all()


def test_the_page_has_clips_to_hear(run):
    page = (run.folder / "report.html").read_text()
    rows = json.loads((run.folder / "examples/examples.json").read_text())
    shown = {row[key] for row in rows for key in ("reference", "audio")}
    assert page.count("<audio ") == 5 * 3 * 2
    assert page.count("data:audio/flac;base64,") == page.count("data:image/png;base64,") == len(shown) < 5 * 3 * 2
    assert all(page.count(f'data-file="{name}"') and page.count(f'"{name}": "data:') == 1 for name in shown)


def test_the_same_command_again_computes_nothing(run, capsys):
    before = (run.folder / "scores.jsonl").read_bytes()
    arguments = ["--set", "librispeech-mini", "--model", "encodec_24khz_tiny", "--limit", "5", "--jobs", "2"]
    assert main([*arguments, "--metrics", "stoi", "si_snr", "--out", str(run.folder)]) == 0
    assert (run.folder / "scores.jsonl").read_bytes() == before
    assert len(json.loads((run.folder / "config.json").read_text())["sessions"]) == 1
