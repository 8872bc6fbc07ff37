"""How well metrics follow listeners: the measures by hand and against scipy, ratings from every source, the command."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from encodec_eval.__main__ import main
from encodec_eval.agreement import measures, ratings, tables
from encodec_eval.mushra.manifest import Item, Manifest, Stimulus
from encodec_eval.report.results import load
from encodec_eval.run.journal import line
from encodec_eval.types import EvalError, Measure, Score

CLIPS = [f"folder/clip{n}" for n in range(6)]
POINTS = ["codec@1", "codec@2", "codec@3", "opus@6"]


def test_the_measures_of_a_worked_example():
    """Ten conditions; every number below was worked out with a pocket calculator's operations."""
    errors = np.array([0.1, -0.2, 0.3, 0.0, -0.5, 0.1, 0.2, -0.1, 0.4, -0.3])
    ci95 = np.full(10, 0.2)
    assert np.square(errors).sum() == pytest.approx(0.70)
    assert measures.rmse(errors, 4).value == pytest.approx((0.70 / 6) ** 0.5)
    found = measures.rmse(errors, 4)
    assert found.low == pytest.approx((0.70 / 14.449) ** 0.5, rel=1e-3), "chi squared of 6, 0.975: 14.449"
    assert found.high == pytest.approx((0.70 / 1.237) ** 0.5, rel=1e-3), "chi squared of 6, 0.025: 1.237"
    beyond = 0.1**2 + 0.3**2 + 0.2**2 + 0.1**2  # of the errors 0.3, -0.5, 0.4 and -0.3
    assert measures.insensitive_rmse(errors, ci95, 4) == pytest.approx((beyond / 6) ** 0.5)
    share = measures.outlier_ratio(errors, ci95 + 1e-9)
    assert share.value == pytest.approx(0.4)
    assert share.high - share.value == pytest.approx(2.262 * (0.4 * 0.6 / 10) ** 0.5, rel=1e-3), "t of 9: 2.262"
    assert np.isnan(measures.rmse(errors[:4], 4).value)


def test_two_metrics_as_in_the_article():
    """The example of Meng, Rosenthal and Rubin (1992): r 0.63 and -0.03, -0.19 between them, 15 people; z 1.68."""
    z, p = measures.compare_correlations(0.63, -0.03, -0.19, 15)
    assert z == pytest.approx(1.68, abs=0.005)
    assert p / 2 == pytest.approx(0.047, abs=0.0005)
    assert measures.compare_correlations(0.5, 0.5, 0.3, 20) == (0, 1)
    assert all(map(np.isnan, measures.compare_correlations(0.5, 0.4, 0.3, 3)))


def test_correlations_and_their_intervals_are_those_of_scipy():
    generator = np.random.default_rng(0)
    x = generator.normal(size=40)
    y = x + generator.normal(size=40)
    theirs = scipy.stats.pearsonr(x, y)
    ours = measures.pearson(x, y)
    assert ours.value == pytest.approx(theirs.statistic)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert measures.spearman(x, y).value == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert measures.kendall(x, y).value == pytest.approx(scipy.stats.kendalltau(x, y).statistic)
    for found in (measures.spearman(x, y), measures.kendall(x, y)):
        assert found.low < found.value < found.high


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
def test_intervals_of_rank_correlations_hold_the_truth(kind):
    generator = np.random.default_rng(1)
    rho = 0.6
    truth = {"spearman": 6 / np.pi * np.arcsin(rho / 2), "kendall": 2 / np.pi * np.arcsin(rho)}[kind]
    drawn = generator.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=(300, 50))
    found = [measures.CORRELATIONS[kind](sample[:, 0], sample[:, 1]) for sample in drawn]
    assert 0.91 <= np.mean([each.low <= truth <= each.high for each in found]) <= 0.99


def test_the_mapping_is_that_of_numpy_where_it_rises_and_never_falls_elsewhere():
    x = np.linspace(1, 5, 30)
    rising = 20 * x + 3 * np.sin(x)
    mapping = measures.fit(x, rising)
    assert mapping.order == 3
    np.testing.assert_allclose(mapping(x), np.polyval(np.polyfit(x, rising, 3), x), rtol=1e-9)
    hump = -((x - 4) ** 2) + np.random.default_rng(0).normal(0, 0.1, 30)
    mapping = measures.fit(x, hump)
    fine = mapping(np.linspace(0, 6, 1000))
    assert (np.diff(fine) >= -1e-6).all()
    residual = np.square(mapping(x) - hump).sum()
    assert residual < np.square(hump.mean() - hump).sum()
    knots = np.random.default_rng(1)
    for _ in range(300):  # no other rising cubic is better: rising in Bernstein's form is rising
        b = np.sort(knots.uniform(hump.min() - 1, hump.max() + 1, 4))
        t = (x - 1) / 4
        other = b[0] * (1 - t) ** 3 + 3 * b[1] * t * (1 - t) ** 2 + 3 * b[2] * t**2 * (1 - t) + b[3] * t**3
        assert np.square(other - hump).sum() >= residual - 1e-9
    assert measures.fit(x[:5], rising[:5]).order == 1
    falling = measures.fit(x[:5], -rising[:5])
    np.testing.assert_allclose(falling(x[:5]), -rising[:5].mean(), atol=1e-6)


@pytest.fixture
def run(tmp_path) -> Path:
    """A run of two metrics: `good` follows the ratings of `votes`, and less of it is better; `bad` does not."""
    folder = tmp_path / "run"
    folder.mkdir()
    generator = np.random.default_rng(3)
    metrics = [
        Measure(name="good", title="Good", unit="dB", higher_is_better=False, source="made"),
        Measure(name="bad", title="Bad", unit="", higher_is_better=True, source="made"),
    ]
    config = {
        "settings": {"set": "x", "metrics": ["good", "bad"], "systems": []},
        "points": [{"name": name, "series": name, "nominal_kbps": None} for name in POINTS],
        "clips": [{"id": clip, "speaker": None, "seconds": 1.0} for clip in CLIPS],
        "metrics": [asdict(each) for each in metrics],
    }
    (folder / "config.json").write_text(json.dumps(config))
    lines = []
    for n, clip in enumerate(CLIPS):
        for m, point in enumerate(POINTS):
            lines.append(line(Score(clip, point, "good", -truth(n, m) / 10)))
            lines.append(line(Score(clip, point, "bad", float(generator.normal()))))
    (folder / "scores.jsonl").write_text("".join(lines))
    return folder


def truth(clip: int, point: int) -> float:
    return 20.0 * point + 15 + 2 * clip


def votes() -> pd.DataFrame:
    generator = np.random.default_rng(4)
    rows = [
        {"listener": f"l{k}", "clip": clip, "condition": point, "score": truth(n, m) + generator.normal(0, 3)}
        for n, clip in enumerate(CLIPS)
        for m, point in enumerate(POINTS)
        for k in range(8)
    ]
    return pd.DataFrame(rows)


def test_a_table_of_votes_tells_the_good_metric_from_the_bad(run, tmp_path, capsys):
    votes().to_csv(tmp_path / "votes.csv", index=False)
    assert main(["agree", str(run), str(tmp_path / "votes.csv")]) == 0
    assert "ratings of 6 clips and 4 conditions" in capsys.readouterr().out
    table = pd.read_csv(run / "agreement/agreement.csv").set_index(["level", "metric"])
    good, bad = table.loc[("clip", "good")], table.loc[("clip", "bad")]
    assert good.points == 24
    assert good.order == 3
    assert good.pearson > 0.98
    assert good.kendall > 0.85
    assert good.rmse < 3
    assert good["rmse*"] < good.rmse
    assert good["outlier ratio"] < 0.3
    assert abs(bad.pearson) < 0.5
    assert bad.rmse > 10
    assert table.loc[("condition", "good")].order == 1, "four conditions are too few for a cubic"
    pair = pd.read_csv(run / "agreement/comparisons.csv").set_index("level").loc["clip"]
    assert (pair["first"], pair["second"]) == ("good", "bad")
    assert pair.p_holm < 1e-4
    report = (run / "agreement/report.md").read_text()
    assert "ITU-T P.1401" in report
    assert "invented these scores" not in report
    assert (run / "agreement/by_clip.png").is_file()
    assert (run / "agreement/by_condition.svg").is_file()


def test_rmse_is_that_of_the_errors_after_the_mapping(run, tmp_path):
    votes().to_csv(tmp_path / "votes.csv", index=False)
    results = load(run)
    rated = ratings.read(tmp_path / "votes.csv", None, CLIPS, POINTS)
    (points, *_) = tables.joined(results, rated)
    row = tables.agreement([points]).iloc[0]
    x, y = points.rows["score"].to_numpy(), points.rows["mean"].to_numpy()
    errors = np.polyval(np.polyfit(x, y, 3), x) - y
    assert row.rmse == pytest.approx(np.sqrt(np.square(errors).sum() / (24 - 4)), rel=1e-6)


def test_means_with_intervals_and_the_votes_of_the_p808_toolkit(run, tmp_path):
    by_clip = ratings.of_votes(votes()).by_clip
    by_clip.to_csv(tmp_path / "means.csv", index=False)
    known = ratings.read(tmp_path / "means.csv", None, CLIPS, POINTS)
    pd.testing.assert_frame_equal(known.by_clip, by_clip)
    files = [
        f"https://x.org/a/{row.condition.replace('@', '%40')}/{Path(row.clip).name}_c.wav"
        for row in by_clip.itertuples()
    ]
    table = pd.DataFrame({"file_url": files, "n": 8, "MOS": by_clip["mean"], "std": 1.0, "95%CI": by_clip["ci95"]})
    table.to_csv(tmp_path / "votes_per_clip.csv", index=False)
    found = ratings.read(tmp_path / "votes_per_clip.csv", None, CLIPS, POINTS)
    pd.testing.assert_frame_equal(found.by_clip, by_clip)


def stimulus(name: str) -> Stimulus:
    return Stimulus(f"s{abs(hash(name)) % 16**12:012x}", name, "", "")


def made_manifest() -> Manifest:
    conditions = ["reference", "anchor35", *POINTS]
    items = [
        Item(
            f"item{n:02d}", clip, None, 0, 1, 0, 0, -23, stimulus("open"), [stimulus(f"{name}") for name in conditions]
        )
        for n, clip in enumerate(CLIPS)
    ]
    return Manifest("t", "t", "bs1534", 0, conditions, items, [[item.id for item in items]], {"set": "x"})


def test_ratings_of_a_listening_test_name_items(run, tmp_path):
    rated = votes()
    rows = [
        {
            "session_test_id": "t",
            "session_uuid": f"simulated-{row.listener}",
            "trial_id": f"item{CLIPS.index(row.clip):02d}",
            "rating_stimulus": row.condition,
            "rating_score": round(min(row.score, 100)),
            "rating_time": 1,
            "rating_comment": "",
        }
        for row in rated.itertuples()
    ]
    (tmp_path / "test").mkdir()
    pd.DataFrame(rows).to_csv(tmp_path / "test/results.csv", index=False)
    manifest = made_manifest()
    manifest = Manifest(**{**vars(manifest), "conditions": POINTS})
    manifest.save(tmp_path / "test")
    found = ratings.read(tmp_path / "test/results.csv", None, CLIPS, POINTS)
    assert set(found.by_clip["clip"]) == set(CLIPS)
    assert found.simulated
    analysed = tmp_path / "analysis"
    analysed.mkdir()
    by_item = found.by_clip.assign(item=[f"item{CLIPS.index(clip):02d}" for clip in found.by_clip["clip"]])
    by_item.to_csv(analysed / "by_item.csv", index=False)
    found.by_condition.to_csv(analysed / "summary.csv", index=False)
    (analysed / "report.md").write_text("x")
    with pytest.raises(EvalError, match=r"names items, not clips: give the test's manifest.json with --manifest"):
        ratings.read(analysed, None, CLIPS, POINTS)
    again = ratings.read(analysed, tmp_path / "test", CLIPS, POINTS)
    pd.testing.assert_frame_equal(again.by_clip, found.by_clip)
    assert not again.simulated


def test_names_of_a_test_are_those_of_a_run():
    assert ratings.NAMES == {"anchor35": "lowpass@3.5k", "anchor70": "lowpass@7k", "reference": "identity"}
    assert ratings.match("clip1", CLIPS) == "folder/clip1"
    assert ratings.match("folder/clip1", CLIPS) == "folder/clip1"
    assert ratings.match("clip9", CLIPS) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n", "has the columns a, b; expected the folder that"),
        ("clip,condition,mean,ci95\nother,codec@1,3,1\n", "no rating in .* is of a clip and point of the run"),
        ("", "is no table"),
    ],
)
def test_what_is_no_ratings_is_refused(run, tmp_path, text, reason, capsys):
    (tmp_path / "x.csv").write_text(text)
    assert main(["agree", str(run), str(tmp_path / "x.csv")]) == 2
    assert re.search(reason, capsys.readouterr().err)
    assert main(["agree", str(run), str(tmp_path / "nothing.csv")]) == 2
    assert "holds no ratings; expected" in capsys.readouterr().err
