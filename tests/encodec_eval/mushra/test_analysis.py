"""Statistics against published examples and scipy; post-screening at its limits; simulated listeners end to end."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from encodec_eval.__main__ import main
from encodec_eval.mushra.analysis import statistics
from encodec_eval.mushra.analysis.ratings import CSV_COLUMNS, read_ratings, write_csv
from encodec_eval.mushra.analysis.screening import incomplete, screen_bs1534, screen_paper
from encodec_eval.mushra.analysis.simulate import default_truth, simulate
from encodec_eval.mushra.manifest import Item, Manifest, Stimulus, load_manifest
from encodec_eval.types import EvalError

CONDITIONS = ["reference", "anchor35", "anchor70", "small@1.5", "small@6", "opus@12"]


def make_manifest(items=8, forms=1, conditions=CONDITIONS):
    def stimulus(i, name):
        return Stimulus(f"s{i}{conditions.index(name)}", name, "", "", scores={"pesq": 1 + i / 10, "stoi": "too short"})

    made = [
        Item(f"item{i}", f"clip{i}", None, 0, 10, 0, 0, -23, Stimulus(f"o{i}", "reference", "", ""),
             [stimulus(i, name) for name in conditions])
        for i in range(items)
    ]  # fmt: skip
    dealt = [[item.id for item in made[f::forms]] for f in range(forms)]
    return Manifest("t", "Test", "bs1534", 0, conditions, made, dealt, {"set": "librispeech-mini"})


def mushra(*arguments):
    return main(["mushra", *map(str, arguments)])


def frame(scores):
    """`{listener: {item: {condition: score}}}` as ratings."""
    rows = [
        {"listener": listener, "item": item, "condition": condition, "score": float(score), "time_s": 1.0}
        for listener, items in scores.items()
        for item, conditions in items.items()
        for condition, score in conditions.items()
    ]
    return pd.DataFrame(rows)


# Hollander and Wolfe, Nonparametric Statistical Methods (1973), p. 140: three ways to round first base, 22 players
ROUNDING = np.array(
    [5.40, 5.50, 5.55, 5.85, 5.70, 5.75, 5.20, 5.60, 5.50, 5.55, 5.50, 5.40, 5.90, 5.85, 5.70, 5.45, 5.55, 5.60,
     5.40, 5.40, 5.35, 5.45, 5.50, 5.35, 5.25, 5.15, 5.00, 5.85, 5.80, 5.70, 5.25, 5.20, 5.10, 5.65, 5.55, 5.45,
     5.60, 5.35, 5.45, 5.05, 5.00, 4.95, 5.50, 5.50, 5.40, 5.45, 5.55, 5.50, 5.55, 5.55, 5.35, 5.45, 5.50, 5.55,
     5.50, 5.45, 5.25, 5.65, 5.60, 5.40, 5.70, 5.65, 5.55, 6.30, 6.30, 6.25]
).reshape(22, 3)  # fmt: skip


def test_friedman_of_a_published_example():
    result = statistics.friedman(pd.DataFrame(ROUNDING))
    assert result["chi2"] == pytest.approx(11.143, abs=5e-4)
    assert result["p"] == pytest.approx(0.003805, abs=5e-7)
    assert result["kendall_w"] == pytest.approx(11.143 / 44, abs=1e-4)


def test_paired_permutation_of_a_published_example():
    # Darwin's maize in eighths of an inch; Fisher, The Design of Experiments, section 21: 863 of 32768 sums reach 314
    difference = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48.0])
    p = statistics.paired_permutation(difference, resamples=2**15)
    assert p == pytest.approx(2 * 863 / 2**15, abs=1e-9)


def test_intraclass_correlation_of_a_published_example():
    # Shrout and Fleiss (1979), table 2; table 4 prints .29 and .62
    scores = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7.0]])
    assert statistics.intraclass_correlation(scores) == pytest.approx((0.29, 0.62), abs=0.005)


def test_mean_interval_against_scipy():
    values = np.random.default_rng(0).normal(50, 10, 12)
    mean, half = statistics.mean_interval(values)
    wanted = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((wanted.low, wanted.high))


def test_intervals_are_over_listeners_not_ratings():
    scores = {f"l{i}": {f"item{j}": {"a": 50 + i} for j in range(10)} for i in range(3)}
    row = statistics.summarise(frame(scores)).iloc[0]
    assert (row["mean"], row["listeners"], row["ratings"]) == (51, 3, 30)
    assert row["ci95"] == pytest.approx(scipy.stats.t.ppf(0.975, 2) * 1 / np.sqrt(3))


def listener(reference=(), mid=(), low=()):
    """Ten items; the given scores replace good ones from the first item on."""
    good = {"reference": 98, "anchor70": 50, "anchor35": 20}
    items = {}
    for j in range(10):
        items[f"item{j}"] = dict(good)
        for name, scores in (("reference", reference), ("anchor70", mid), ("anchor35", low)):
            if j < len(scores):
                items[f"item{j}"][name] = scores[j]
    return items


@pytest.mark.parametrize(
    ("screen", "changed", "reason"),
    [
        (screen_bs1534, {"reference": [89]}, None),  # 10 %
        (screen_bs1534, {"reference": [90, 90, 90]}, None),
        (screen_bs1534, {"reference": [89, 89]}, "hidden reference below 90 on 20% of items"),
        (screen_bs1534, {"mid": [91]}, None),
        (screen_bs1534, {"mid": [90, 90, 90]}, None),
        (screen_bs1534, {"mid": [91, 91]}, "mid anchor above 90 on 20% of items"),
        (screen_paper, {"reference": [89]}, None),
        (screen_paper, {"reference": [89, 89]}, "hidden reference below 90 on 20% of items"),
        (screen_paper, {"low": [81] * 5}, None),
        (screen_paper, {"low": [81] * 6}, "low anchor above 80 on 60% of items"),
    ],
)
def test_screening_at_its_limits(screen, changed, reason):
    ratings = frame({f"good{i}": listener() for i in range(7)} | {"x": listener(**changed)})
    assert {each.listener: each.reason for each in screen(ratings)} == ({"x": reason} if reason else {})


def test_items_whose_mid_anchor_many_like_do_not_count_against_a_listener():
    few = frame({f"good{i}": listener() for i in range(6)} | {f"x{i}": listener(mid=[95, 95]) for i in range(2)})
    many = frame({f"good{i}": listener() for i in range(5)} | {f"x{i}": listener(mid=[95, 95]) for i in range(3)})
    assert [each.listener for each in screen_bs1534(few)] == ["x0", "x1"]
    assert screen_bs1534(many) == []


def test_a_comparison_needs_three_conditions():
    with pytest.raises(EvalError, match="only a, b were rated"):
        statistics.friedman(pd.DataFrame({"a": [1, 2], "b": [3, 4]}))


def test_screening_needs_its_anchor():
    with pytest.raises(EvalError, match="lacking: anchor70"):
        screen_bs1534(frame({"a": {"item0": {"reference": 100, "anchor35": 20}}}))


def test_a_listener_who_stopped_is_dropped_and_named():
    manifest = make_manifest(items=4, forms=2)
    scores = {name: dict.fromkeys(CONDITIONS, 50) for name in ("item0", "item2")}
    ratings = frame({"whole": scores, "stopped": {"item0": scores["item0"]}})
    assert [(each.listener, each.reason) for each in incomplete(ratings, manifest)] == [
        ("stopped", "not finished: 1 of 2 items")
    ]


@pytest.mark.parametrize("forms", [1, 2])
def test_simulated_listeners_are_recovered_and_bad_ones_dropped(forms, tmp_path):
    manifest = make_manifest(items=16, forms=forms)
    truth = default_truth(CONDITIONS)
    inside = []
    for seed in range(12):
        write_csv(tmp_path / "r.csv", simulate(manifest, 30, faulty=6, seed=seed, truth=truth))
        ratings = read_ratings([tmp_path / "r.csv"], manifest)
        dropped = {each.listener for each in screen_bs1534(ratings)}
        faulty = {name for name in ratings["listener"].unique() if name.count("-") > 1}
        assert len(faulty) == 6
        assert dropped == faulty, f"seed {seed}"
        summary = statistics.summarise(ratings[~ratings["listener"].isin(dropped)]).set_index("condition")
        for name in CONDITIONS[1:]:
            error = abs(summary["mean"][name] - truth[name])
            assert error < 5, f"seed {seed}: {name} is {summary['mean'][name]:.1f}, truth {truth[name]:.1f}"
            inside.append(error <= summary["ci95"][name] + 3 / 4)  # item effects: sd 3 over 16 items
    assert np.mean(inside) > 0.85


def test_a_true_difference_is_found_and_a_null_one_is_not():
    conditions = ["reference", "anchor35", "anchor70", "a@1", "b@1", "c@1"]
    truth = {"reference": 100, "anchor35": 20, "anchor70": 45, "a@1": 60, "b@1": 60, "c@1": 70}
    manifest = make_manifest(conditions=conditions)
    names = manifest.names()
    found = []
    for seed in range(40):
        rows = simulate(manifest, 16, seed=seed, truth=truth)
        scores = pd.DataFrame(rows).assign(condition=[names[row["rating_stimulus"]][1] for row in rows])
        scores = scores.rename(columns={"session_uuid": "listener", "trial_id": "item", "rating_score": "score"})
        # item effects are shared by all listeners, so they are differences of this set of items: remove them
        scores["score"] -= scores.groupby(["item", "condition"])["score"].transform("mean")
        scores["score"] += scores["condition"].map(truth)
        noise = np.random.default_rng(seed).normal(0, 4, (16, len(conditions)))
        means = statistics.listener_means(scores) + noise
        pairs = statistics.compare_pairs(means[["a@1", "b@1", "c@1"]], resamples=999).set_index(["first", "second"])
        found.append(pairs["p_holm"] < 0.05)
    share = pd.concat(found, axis=1).mean(axis=1)
    assert share["a@1", "b@1"] <= 0.125
    assert share["a@1", "c@1"] >= 0.95


def test_simulation_is_the_same_for_the_same_seed():
    manifest = make_manifest()
    assert simulate(manifest, 5, 1, seed=3) == simulate(manifest, 5, 1, seed=3) != simulate(manifest, 5, 1, seed=4)


def save(folder, **changes):
    manifest = make_manifest(**changes)
    manifest.save(folder)
    return manifest


def test_the_commands_from_manifest_to_report(tmp_path, capsys):
    save(tmp_path)
    assert mushra("simulate", tmp_path, "--listeners", 20, "--faulty", 3, "--out", tmp_path / "r.csv") == 0
    assert mushra("analyze", tmp_path / "r.csv", "--out", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "dropped simulated-018-random" in shown
    assert "SIMULATED" in shown
    report = (tmp_path / "out" / "report.md").read_text()
    assert "They say nothing about any codec" in report
    assert "76.5 ± 2.3" in report, "the paper's Opus 12 is quoted"
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").set_index("condition")
    assert list(summary["listeners"]) == [17] * 6
    assert (summary["mean"].sort_values(ascending=False).index[:2] == ["reference", "opus@12"]).all()
    assert (tmp_path / "out" / "scores.png").stat().st_size > 10000
    assert r"\toprule" in (tmp_path / "out" / "summary.tex").read_text()


def test_simulated_results_lie_where_analyze_finds_the_manifest(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test").mkdir()
    save(tmp_path / "test")
    assert mushra("simulate", "test", "--listeners", 4) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["test"]
    assert mushra("analyze", "test/simulated.csv") == 0
    assert "SIMULATED" in capsys.readouterr().out


def test_ids_without_their_manifest_are_one_line_that_says_which_is_wanted(tmp_path, capsys):
    for name in ("test", "other", "elsewhere"):
        (tmp_path / name).mkdir()
    manifest = save(tmp_path / "test")
    ids = {stimulus.id: f"s{n:012x}" for n, stimulus in enumerate(s for item in manifest.items for s in item.stimuli)}
    text = (tmp_path / "test/manifest.json").read_text()
    for old, new in ids.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    (tmp_path / "test/manifest.json").write_text(text)
    results = tmp_path / "elsewhere/r.csv"
    assert mushra("simulate", tmp_path / "test", "--listeners", 4, "--out", results) == 0
    capsys.readouterr()
    assert mushra("analyze", results, "--out", tmp_path / "out") == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert f"expected the manifest.json of test {manifest.test_id}" in error
    assert "--manifest" in error
    save(tmp_path / "other")
    assert mushra("analyze", results, "--manifest", tmp_path / "other", "--out", tmp_path / "out") == 2
    assert f"expected that of test {manifest.test_id}, name it with --manifest" in capsys.readouterr().err
    assert mushra("analyze", results, "--manifest", tmp_path / "test", "--out", tmp_path / "out") == 0


def test_webmushras_own_names_need_no_manifest(tmp_path):
    names = {"reference": 100, "anchor35": 10, "anchor70": 40, "C1": 60}
    rows = [
        dict(zip(CSV_COLUMNS, ["t", f"l{i}", f"trial{j}", name, score - i, 4000, ""], strict=True))
        for i in range(4)
        for j in range(3)
        for name, score in names.items()
    ]
    table = pd.DataFrame(rows)
    table.insert(1, "age", "30")
    table.to_csv(tmp_path / "mushra.csv", index=False)
    assert mushra("analyze", tmp_path / "mushra.csv", "--out", tmp_path / "out") == 0
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").set_index("condition")
    assert summary["mean"].to_dict() == {"reference": 98.5, "anchor35": 8.5, "anchor70": 38.5, "C1": 58.5}


def good_row(**changes):
    row = dict(zip(CSV_COLUMNS, ["t", "l", "item0", "s00", 50, 1000, ""], strict=True))
    return row | changes


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([good_row(rating_score=101)], "line 2: score '101'; expected a number from 0 to 100"),
        ([good_row(rating_score="nan")], "score 'nan'"),
        ([good_row(rating_stimulus="zz")], "stimulus 'zz' of trial 'item0' is not in the manifest"),
        ([good_row(trial_id="item1")], "stimulus 's00' of trial 'item1' is not in the manifest"),
        ([good_row(), good_row(rating_score=60)], "twice, differently"),
        ([good_row()], "no score for anchor35"),
    ],
)
def test_wrong_results_are_refused(rows, message, tmp_path, capsys):
    save(tmp_path)
    write_csv(tmp_path / "r.csv", rows)
    assert mushra("analyze", tmp_path / "r.csv", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_wrong_files_are_refused(tmp_path, capsys):
    (tmp_path / "r.csv").write_text("a,b\n1,2\n")
    for arguments, message in (
        (["analyze", tmp_path / "r.csv"], "lacks the columns session_uuid"),
        (["analyze", tmp_path / "no.csv"], "no.csv is not a file"),
        (["simulate", tmp_path], "manifest.json is missing"),
    ):
        assert mushra(*arguments) == 2
        assert message in capsys.readouterr().err


def test_the_same_row_in_two_files_counts_once(tmp_path):
    manifest = save(tmp_path)
    rows = simulate(manifest, 2)
    write_csv(tmp_path / "a.csv", rows)
    write_csv(tmp_path / "b.csv", rows)
    assert len(read_ratings([tmp_path / "a.csv", tmp_path / "b.csv"], manifest)) == len(rows)


def test_manifest_round_trip(tmp_path):
    manifest = save(tmp_path, forms=2)
    assert load_manifest(tmp_path) == manifest
    (tmp_path / "manifest.json").write_text(json.dumps({"items": []}))
    with pytest.raises(EvalError, match="is not the manifest"):
        load_manifest(tmp_path)
