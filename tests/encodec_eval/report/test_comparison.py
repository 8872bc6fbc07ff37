"""Runs beside each other: paired differences, effect sizes, figures, cards, and the leaderboard."""

import json
import re
import shutil
import subprocess

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from encodec_eval import stats
from encodec_eval.__main__ import main
from encodec_eval.report import comparison, results
from encodec_eval.report.card import model_card
from encodec_eval.report.leaderboard import write_leaderboard
from encodec_eval.types import EvalError
from tests.encodec_eval.report.test_report import RATES, make_run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three runs over one set, and in the last folder what they have to show side by side."""
    folder = tmp_path_factory.mktemp("runs")
    made = [make_run(folder / "runs" / name, shift) for name, shift in {"a": 0, "b": 0.5, "c": -1}.items()]
    assert main(["compare", *map(str, made), "--out", str(folder / "out")]) == 0
    return [*made, folder / "out"]


@pytest.fixture(scope="module")
def runs(folders):
    return [results.load(folder) for folder in folders[:3]]


def test_effect_sizes_by_hand():
    d, above = stats.effect_size([1, 2, 3, np.nan], [0, 0, 0, 0])
    assert (d, above) == (pytest.approx(2), 1)
    assert stats.effect_size([1, 0, -1], [0, 0, 0]) == (0, 0.5)
    d, above = stats.effect_size([1.0, 1.0], [0, 0])
    assert np.isnan(d)
    assert above == 1
    assert np.isnan(stats.effect_size([np.nan], [1])).all()
    assert np.isnan(stats.effect_size([2], [1])[0])


def test_many_runs_against_the_first(runs):
    found = comparison.compare(*runs).set_index(["point", "metric"])
    assert found.loc[("b: tiny@12", "si_snr"), "difference"] == pytest.approx(0.5)
    assert found.loc[("c: tiny@12", "si_snr"), "difference"] == pytest.approx(-1)
    assert found.loc[("c: tiny@12", "si_snr"), "share_above"] == 0
    assert len(found) == 2 * len(RATES) * 2
    alone = comparison.compare(*runs[:2])
    assert set(alone.point) == set(RATES)
    family = comparison.compare(*runs).query("metric == 'stoi'")
    assert list(family.p_holm) == list(stats.holm(family.p))


def test_all_points_against_one(runs):
    found = comparison.compare(*runs[:2], reference="opus@12").set_index(["point", "metric"])
    assert len(found) == (2 * len(RATES) - 1) * 2
    row = found.loc[("a: opus@24", "si_snr")]
    assert row.difference == pytest.approx(2)
    assert found.loc[("b: opus@12", "si_snr"), "difference"] == pytest.approx(0.5)
    one = comparison.compare(runs[0], reference="opus@12")
    assert "opus@24" in set(one.point)
    with pytest.raises(EvalError, match="no point 'winamp' in these runs; expected opus@6"):
        comparison.compare(*runs, reference="winamp")
    with pytest.raises(EvalError, match="name it with --reference"):
        comparison.compare(runs[0])


def test_effects_in_words(runs):
    frame = comparison.compare(runs[0], reference="opus@12")
    table = comparison.comparison_table(frame, runs[0]).set_index(["point", "metric"])
    assert table.loc[("opus@24", "SI-SNR dB ↑"), "better on"] == "100 %"
    assert table.loc[("tiny@6", "SI-SNR dB ↑"), "pairs"] == "5"
    assert list(table.columns) == ["difference", "d", "better on", "p", "p (Holm)", "pairs"]


def test_the_table_of_means_has_every_run(runs):
    table = comparison.means_table(runs).set_index("point")
    assert len(table) == 3 * len(RATES)
    assert table.loc["b: tiny@6", "scored"] == "5/6"
    assert table.columns[-1] == "scored"


def test_what_a_comparison_writes(folders):
    *_, out = folders
    assert {path.name for path in out.iterdir()} == {
        "comparison.md", "comparison.csv", "comparison.tex", "forest.png", "forest.svg", "cards",
    }  # fmt: skip
    assert len(pd.read_csv(out / "comparison.csv")) == 2 * len(RATES) * 2
    text = (out / "comparison.md").read_text()
    assert text.startswith(f"# {folders[1]}, {folders[2]} minus {folders[0]}, 6 clips of made-up\n")
    assert "Cohen's d_z" in text
    assert "b: tiny@12" in (out / "forest.svg").read_text()
    latex = (out / "comparison.tex").read_text()
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") >= 3


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs Debian's texlive-latex-recommended")
def test_the_latex_compiles(folders, tmp_path):
    head = (
        "\\documentclass{article}\\usepackage[a4paper,margin=2.5cm]{geometry}\\usepackage{booktabs}\\begin{document}\n"
    )
    (tmp_path / "all.tex").write_text(head + (folders[-1] / "comparison.tex").read_text() + "\\end{document}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.findall(r"Overfull.*|.*too large.*", done.stdout)


def test_a_model_card_is_read_by_the_hub_library(runs, folders):
    text = model_card(runs[0], "tiny")
    assert (folders[-1] / "cards/tiny.md").exists()
    found = huggingface_hub.ModelCard(text).data.eval_results
    assert len(found) == 3 * 2
    (result,) = [each for each in found if each.metric_name == "SI-SNR at tiny@12"]
    assert (result.metric_type, result.dataset_name) == ("si_snr", "made-up")
    assert result.metric_value == pytest.approx(2 * np.log2(12) + 1.25, abs=5e-4)
    with pytest.raises(EvalError, match=r"no codec 'winamp' in .*; expected opus, tiny, identity"):
        model_card(runs[0], "winamp")


@pytest.fixture(scope="module")
def board(folders):
    """The page of the three runs, of one over another set, and of one that is not complete."""
    parent = folders[0].parent
    make_run(parent / "foreign", files="other")
    broken = make_run(parent / "broken")
    (broken / "scores.jsonl").write_text("")
    for folder in folders[:2]:
        audio = {}
        for point in ("reference", "opus@6", "tiny@6"):
            (folder / "examples" / point).mkdir(parents=True)
            sf.write(folder / "examples" / point / "clip0.flac", np.full(8000, 0.1), 16000)
            audio[point] = f"{point}/clip0.flac"
        listing = {"clip0": {"reference": audio.pop("reference"), "audio": audio}}
        (folder / "examples/shared.json").write_text(json.dumps(listing))
    return write_leaderboard(parent, parent.parent / "site")


def test_the_leaderboard_is_a_page_without_a_server(board):
    page = board.read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("<tr data-set=") == 4 * len(RATES)
    assert page.count("<option>") == 2
    assert "made-up, 6 clips (other)" in page
    assert "broken is incomplete: 0 of 378 scores" in page
    assert 'title="8.42 (' in page, "the interval of opus@12"
    assert page.count("[5/6]") == 4
    (clip,) = (board.parent / "clips").iterdir()
    (versions,) = re.findall(r'leaderboard.bring\("clips/0.js", \["clip0", (.*)\]\);', clip.read_text())
    labels = [version["label"] for version in json.loads(versions)]
    assert labels == ["reference", "opus@6", "tiny@6", "b: opus@6", "b: tiny@6"]
    assert (board.parent / "README.md").read_text().startswith("---\ntitle:")
    assert "sdk: static" in (board.parent / "README.md").read_text()


def test_a_leaderboard_needs_a_run(tmp_path, capsys):
    assert main(["compare", "--leaderboard", str(tmp_path)]) == 2
    assert "holds no complete run" in capsys.readouterr().err
    assert main(["compare"]) == 2
    assert main(["compare", str(tmp_path), "--leaderboard", str(tmp_path)]) == 2


@pytest.mark.slow
@pytest.mark.browser
def test_the_leaderboard_sorts_filters_and_plays(board, page):
    def shown(column: int) -> list[str]:
        return page.evaluate(
            "n => [...document.querySelectorAll('tbody tr:not([hidden])')].map(row => row.cells[n].textContent)", column
        )

    page.goto(board.as_uri())
    page.wait_for_function("document.querySelector('#count').textContent !== ''")
    assert len(shown(0)) == 3 * len(RATES)
    page.get_by_role("button", name="SI-SNR").click()
    values = [float(text.split(" [")[0]) for text in shown(3) if text[0] != "-"]
    assert values == sorted(values, reverse=True)
    assert [text[0] for text in shown(3)[-3:]] == ["-"] * 3, "what has no value stands last"
    page.get_by_role("button", name="SI-SNR").click()
    values = [float(text.split(" [")[0]) for text in shown(3) if text[0] != "-"]
    assert values == sorted(values)
    page.fill("#system", "TINY")
    page.fill("#rate", "12")
    assert sorted(shown(0)) == ["tiny@12"] * 3 + ["tiny@6"] * 3
    page.wait_for_function("document.querySelector('sync-player').probe?.().ready ?? false", timeout=10000)
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    assert not found, [(each["id"], [node["html"][:100] for node in each["nodes"]]) for each in found]
    page.select_option("#set", index=1)
    assert len(shown(0)) == 2
    assert page.locator("#listen").is_hidden()
