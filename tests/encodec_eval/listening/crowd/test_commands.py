"""A crowd's test of another method than MUSHRA from the command that makes it to the table of its answers."""

import json

import pandas as pd
import pytest

from encodec_eval.__main__ import main
from encodec_eval.listening.crowd.make import forms_of
from encodec_eval.listening.methods.base import GOLD_BAD, TRAP, is_control
from encodec_eval.mushra.manifest import REFERENCE, load_manifest
from encodec_eval.types import EvalError
from tests.encodec_eval.listening.crowd.fakes import noises
from tests.encodec_eval.listening.crowd.test_server import ask, serving
from tests.encodec_eval.listening.invented import manifest_of

CROWD = """
languages: [en, fr]
consent: {en: "May we?", fr: "D'accord ?"}
participant: {parameters: [PROLIFIC_PID]}
completion: {code: C0FFEE}
questionnaire:
  - {id: age, text: "How old?", kind: number}
"""
ANSWERS = {REFERENCE: 5, "mp3@32": 3, GOLD_BAD: 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    (folder / "crowd.yaml").write_text(CROWD, encoding="utf-8")
    command = ["listening", "--method", "dcr", "--set", str(noises(folder / "set")), "--systems", "mp3"]
    command += ["--mp3-kbps", "32", "--items", "3", "--duration", "1", "--crowd", str(folder / "crowd.yaml")]
    assert main([*command, "--per-listener", "2", "--ratings", "2", "--out", str(folder / "test")]) == 0
    return folder / "test"


def take(port, manifest, name, n):
    """One listener answers all of their form; returns what the server says at the end."""
    who = {"test": manifest.test_id, "session": f"{n:032x}", "seed": n}
    about = {"participant": {"PROLIFIC_PID": name}}
    form = json.loads(ask(port, "POST", "/session", who | about)[1])["form"]
    trials = []
    for item in (each for each in manifest.items if each.id in manifest.forms[form]):
        (version,) = item.stimuli
        asked = version.condition.removeprefix(TRAP)
        answer = int(asked) if asked.isdigit() else ANSWERS[version.condition]
        plays = {version.id: 2, item.open_reference.id: 1}
        trials.append({"item": item.id, "scores": {version.id: answer}, "ms": 4000, "plays": plays})
    body = {"listener": "", "form": form, "trials": trials}
    body["about"] = about | {"consent": True, "language": "fr", "answers": {"age": 30 + n}}
    status, text, _ = ask(port, "POST", "/results", who | body)
    assert status == 200, text
    return json.loads(text)


def test_a_crowd_takes_it_and_its_answers_are_exported_and_analysed(made, tmp_path, capsys):
    manifest = load_manifest(made)
    assert [len(form) for form in manifest.forms] == [6, 6, 6], "two recordings in two versions, gold question, trap"
    with serving(made) as server:
        page = ask(server.server_port, "GET", "/")[1]
        assert "D'accord ?" in page
        assert "C0FFEE" not in page
        ended = [take(server.server_port, manifest, f"person{n}", n) for n in range(3)]
    assert [each["completion"]["code"] for each in ended] == ["C0FFEE"] * 3
    assert main(["listening", "export", str(made), "--out", str(tmp_path / "tidy.csv")]) == 0
    table = pd.read_csv(tmp_path / "tidy.csv")
    assert len(table) == 18
    assert table["question_age"].unique().tolist() == [30, 31, 32]
    assert set(table["language"]) == {"fr"}
    real = table[~table["condition"].map(is_control)]
    clips = {item.id: item.clip for item in manifest.items}
    assert real.groupby(real["item"].map(clips))["session"].nunique().eq(2).all(), "each recording by two listeners"
    capsys.readouterr()
    analyze = ["listening", "analyze", str(made / "results"), "--manifest", str(made), "--out", str(tmp_path / "out")]
    assert main(analyze) == 0
    means = pd.read_csv(tmp_path / "out" / "summary.csv").set_index("condition")["mean"]
    assert means.to_dict() == {"mp3@32": 3, REFERENCE: 5}
    assert "INVENTED" not in (tmp_path / "out" / "report.md").read_text("utf-8")


def test_parquet_holds_what_csv_holds(made, tmp_path):
    pytest.importorskip("pyarrow")
    if not (made / "answers.jsonl").exists():
        with serving(made) as server:
            take(server.server_port, load_manifest(made), "person0", 0)
    for ending in ("csv", "parquet"):
        assert main(["listening", "export", str(made), "--out", str(tmp_path / f"tidy.{ending}")]) == 0
    columns = pd.read_parquet(tmp_path / "tidy.parquet")
    assert str(columns["plays"].dtype) == "Int64"
    read = pd.read_csv(tmp_path / "tidy.csv", dtype={"session": str})
    assert columns.columns.tolist() == read.columns.tolist()
    for name in ("session", "item", "stimulus", "condition", "score", "plays", "time_s", "parameter_PROLIFIC_PID"):
        assert columns[name].tolist() == read[name].tolist(), name


def test_parquet_without_pyarrow_says_what_is_missing(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["listening", "export", str(made), "--out", str(tmp_path / "tidy.parquet")]) == 2
    assert "Parquet needs pyarrow" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["acr", "dcr", "ccr", "ab", "bs1116"])
def test_a_form_has_all_trials_of_its_recordings_and_every_control(name):
    manifest = manifest_of(name, items=6)
    forms = forms_of(manifest, 2, 3)
    assert len(forms) == 9
    trials = {item.id: item for item in manifest.items}
    controls = {item.id for item in manifest.items if any(map(is_control, item.conditions))}
    for form in forms:
        assert controls <= set(form)
        clips = {trials[one].clip for one in set(form) - controls}
        assert len(clips) == 2
        assert set(form) - controls == {
            item.id for item in manifest.items if item.clip in clips and item.id not in controls
        }


def test_forms_that_a_method_forbids_are_refused():
    with pytest.raises(EvalError, match="ABX fixes; expected --forms"):
        forms_of(manifest_of("abx"), 2, 3)
    manifest = manifest_of("acr")
    object.__setattr__(manifest, "forms", [["trial0001"], ["trial0002"]])
    with pytest.raises(EvalError, match="expected no --forms, not 2"):
        forms_of(manifest, 2, 3)
