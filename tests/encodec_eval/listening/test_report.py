"""Reports of every method: figures, tables, who is left out and why, and that invented listeners are said to be."""

import numpy as np
import pandas as pd
import pytest

from encodec_eval.listening.analysis import screening
from encodec_eval.listening.analysis.answers import read_answers
from encodec_eval.listening.analysis.figures import method_figure, preference_figure, scale_of
from encodec_eval.listening.analysis.report import write_report
from encodec_eval.listening.analysis.tables import sections
from encodec_eval.listening.analysis.variance import agreement, block, repeated_anova
from encodec_eval.listening.methods import METHODS
from encodec_eval.listening.methods.base import GOLD_BAD
from encodec_eval.listening.simulate import simulate
from encodec_eval.mushra.analysis.ratings import PAGE_COLUMNS, PLAYS, write_csv
from encodec_eval.mushra.analysis.statistics import compare_pairs, intraclass_correlation, listener_means
from encodec_eval.mushra.manifest import REFERENCE
from tests.encodec_eval.listening.invented import SYSTEMS, answers_of, manifest_of

OTHERS = sorted(name for name in METHODS if name != "mushra")
RATINGS = ["acr", "bs1116", "ccr", "dcr"]


@pytest.mark.parametrize("name", OTHERS)
def test_every_method_has_a_figure_and_says_that_its_listeners_are_invented(name, tmp_path):
    manifest = manifest_of(name)
    write_report(answers_of(manifest, tmp_path), manifest, tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "summary.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "summary.pdf").read_bytes().startswith(b"%PDF")
    report = (out / "report.md").read_text("utf-8")
    assert "INVENTED listeners" in report.splitlines()[0]
    assert "![" in report
    assert all((out / line.split("](")[1].rstrip(")")).is_file() for line in report.splitlines() if line[:2] == "![")
    assert r"\begin{tabular}" in (out / "summary.tex").read_text("utf-8")
    assert "INVENTED" in (out / "summary.tex").read_text("utf-8")
    assert (out / "exclusions.csv").is_file()


def test_the_same_answers_make_the_same_files(tmp_path):
    manifest = manifest_of("acr")
    answers = answers_of(manifest, tmp_path)
    for folder in ("a", "b"):
        write_report(answers, manifest, tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", RATINGS)
def test_a_figure_shows_means_intervals_and_grades(name, tmp_path):
    method, manifest = METHODS[name], manifest_of(name)
    kept = screening.controls_out(answers_of(manifest, tmp_path))
    summary = sections(kept, method)[0].table.sort_values("mean", ascending=False)
    figure = method_figure(method, kept, summary, "title", "INVENTED")
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    for row in summary.itertuples():
        assert f"{row.mean:.2f} ± {row.ci95:.2f}" in texts
    points = [container.lines[0].get_xdata()[0] for container in axes.containers if hasattr(container, "lines")]
    assert points == pytest.approx(summary["mean"].tolist())
    assert axes.get_xlabel() == method.measure
    grades = dict(scale_of(method).words)
    assert {text.replace("\n", " ") for text in texts} >= set(grades.values())
    low, high = axes.get_xlim()
    assert low < min(grades) < max(grades) < high


def test_the_figure_of_abx_has_the_line_of_chance(tmp_path):
    kept = answers_of(manifest_of("abx"), tmp_path)
    summary = sections(kept, METHODS["abx"])[0].table
    (axes,) = method_figure(METHODS["abx"], kept, summary, "title", "note").axes
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [set(line.get_xdata()) for line in dashed] == [{0.5}]
    row = summary.iloc[0]
    assert f"{row['share']:.2f} ({row['low']:.2f} to {row['high']:.2f})" in [text.get_text() for text in axes.texts]


def test_the_figures_of_ab_have_strengths_and_counts(tmp_path):
    kept = answers_of(manifest_of("ab"), tmp_path)
    strengths, pairs, *_ = sections(kept, METHODS["ab"])
    (axes,) = method_figure(METHODS["ab"], kept, strengths.table, "title", "note").axes
    assert [set(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "--"] == [{0.0}]
    (axes,) = preference_figure(pairs.table, "title", "note").axes
    assert str(pairs.table["preferred"].max()) in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("name", RATINGS)
def test_rating_methods_have_rank_permutation_variance_and_agreement(name, tmp_path):
    kept = screening.controls_out(answers_of(manifest_of(name), tmp_path))
    found = {each.name: each.table for each in sections(kept, METHODS[name])}
    assert found["friedman"]["p"][0] < 0.01
    means = listener_means(kept)
    assert len(found["pairs"]) == means.shape[1] * (means.shape[1] - 1) / 2
    assert (found["pairs"]["p_holm"] >= found["pairs"]["p"]).all()
    best = found["pairs"].iloc[0]
    pair = compare_pairs(means[[best["first"], best["second"]]]).iloc[0]
    assert pair["p"] == pytest.approx(best["p"])
    assert {"condition", "item", "condition x item"} == set(found["anova"]["effect"])
    assert list(found["agreement"]["measure"])[1:] == ["ICC(2,1)", "ICC(2,k)"]


def test_agreement_has_the_intraclass_correlation_of_the_same_cells(tmp_path):
    kept = screening.controls_out(answers_of(manifest_of("dcr"), tmp_path))
    table = kept.pivot(index=["item", "condition"], columns="listener", values="score").to_numpy()
    assert agreement(kept)["value"].tolist()[1:] == pytest.approx(intraclass_correlation(table))


def test_the_hidden_reference_is_among_means_and_pairs_but_not_in_what_asks_whether_versions_are_equal(tmp_path):
    kept = screening.controls_out(answers_of(manifest_of("acr"), tmp_path))
    found = {each.name: each.table for each in sections(kept, METHODS["acr"])}
    assert REFERENCE in set(found["summary"]["condition"])
    assert REFERENCE in set(found["pairs"]["first"])
    assert found["friedman"]["df"].tolist() == [len(SYSTEMS) - 1]
    versions = block(kept[kept["condition"] != REFERENCE])
    assert versions.shape[1] == len(SYSTEMS)
    pd.testing.assert_frame_equal(found["anova"], repeated_anova(versions))
    assert (found["anova"]["epsilon"] <= 1).all()


def test_anova_is_left_out_where_listeners_heard_different_items(tmp_path):
    kept = screening.controls_out(answers_of(manifest_of("acr"), tmp_path))
    some = kept[~(kept["listener"].isin(["simulated-001", "simulated-002"]) & (kept["item"] == "clip0"))]
    found = {each.name: each for each in sections(some, METHODS["acr"])}
    assert "not every listener" in found["anova"].lacking
    assert len(found["agreement"].table) == 5, "alpha, and two values for each of two groups"
    assert np.isfinite(repeated_anova(np.random.default_rng(0).normal(size=(3, 2, 2)))["f"]).all()


def test_one_condition_alone_has_no_pairs_and_no_ranks(tmp_path):
    kept = answers_of(manifest_of("bs1116", systems=("codec@3",)), tmp_path)
    found = {each.name: each for each in sections(kept, METHODS["bs1116"])}
    assert "only one condition" in found["pairs"].lacking
    assert "three conditions" in found["friedman"].lacking


def test_who_is_left_out_stands_in_a_table_with_each_reason(tmp_path):
    manifest = manifest_of("acr")
    answers = answers_of(manifest, tmp_path, faulty=3)
    begun = answers[~((answers["listener"] == "simulated-001") & (answers["trial"] == "trial0001"))]
    write_report(begun, manifest, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "exclusions.csv")
    rules = table.groupby("listener")["rule"].agg(set)
    assert rules["simulated-001"] == {"not finished"}
    assert {"gold question", "same answer"} <= rules["simulated-011-constant"]
    assert not set(table["listener"]) & {f"simulated-{n:03d}" for n in range(2, 10)}
    report = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "the same answer in all" in report
    assert f"{table['listener'].nunique()} of 12 listeners left out" in report


def trials(**columns):
    return pd.DataFrame(
        {"listener": "x", "trial": [f"t{n}" for n in range(len(columns["plays"]))], "condition": "a"} | columns
    )


@pytest.mark.parametrize(
    ("what", "seconds", "plays", "hasty"),
    [
        ("at leisure", 25.0, 4, 0.0),
        ("fast", 9.0, 4, 1.0),
        ("heard once, and not to the end", 15.0, 2, 1.0),
        ("heard once, to the end", 20.0, 2, 0.0),
        ("not all of it was started", 60.0, 1, 1.0),
        ("no number of plays is known", 15.0, float("nan"), 0.0),
    ],
)
def test_haste_is_time_and_plays(what, seconds, plays, hasty):
    found = screening.hasty(trials(time_s=[seconds] * 3, plays=[plays] * 3, signals=2, audio_s=20.0))
    assert found["hasty_trials"][0] == hasty, what
    assert found["flagged"][0] == bool(hasty), what


def test_invented_listeners_of_a_browser_are_told_by_their_name(tmp_path):
    manifest = manifest_of("bs1116")
    page = {"listener": "simulated-7", "form": 1, "seed": 1, "session_uuid": "ab" * 16}
    rows = [row | page for row in simulate(manifest, 1)]
    write_csv(tmp_path / "page.csv", rows, [*PAGE_COLUMNS, PLAYS])
    assert set(read_answers([tmp_path / "page.csv"], manifest)["listener"]) == {"simulated-7-abababab"}


def answered(*given, condition="codec@3"):
    return pd.DataFrame({"answer": given, "condition": condition})


@pytest.mark.parametrize(
    ("what", "name", "rows", "reason"),
    [
        ("varied", "acr", answered(5, 4, 5, 3, 4, 5), ""),
        ("all alike", "acr", answered(*[4] * 6), "the same answer in all 6 trials"),
        ("too few to tell", "acr", answered(*[4] * 5), ""),
        ("one of eleven off", "acr", answered(*[5] * 10, 4), "variance 0.09, below 0.1"),
        ("in AB no toolkit rules", "ab", answered(*[1] * 10, 0), ""),
        (
            "controls answered well hide nothing",
            "acr",
            pd.concat([answered(*[5] * 8), answered(1, condition=GOLD_BAD), answered(3, condition="trap3")]),
            "the same answer in all 8 trials",
        ),
    ],
)
def test_answers_that_hardly_vary_are_those_of_the_toolkit_for_p808(what, name, rows, reason):
    found = screening.rules_of(METHODS[name])["same answer"](rows, METHODS[name])
    assert reason in found if reason else not found, what
