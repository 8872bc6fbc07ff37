"""Curves over loss, their areas, and the run that makes them."""

import json

import numpy as np
import pytest

from encodec_eval.__main__ import main
from encodec_eval.report import line, results
from encodec_eval.report.results import summarize


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [([0, 0.2], [4, 2], 3), ([0, 0.1, 0.2], [4, 2, 2], 2.5), ([0, 0.4], [4, 0], 3), ([0, 0.05, 0.3], [3, 3, 3], 3)],
)
def test_the_mean_of_a_curve_by_hand(x, y, expected):
    assert line.mean_between(np.array(x, float), np.array(y, float), 0.0, 0.2) == pytest.approx(expected)


def test_a_clip_without_a_score_has_no_area():
    assert np.isnan(line.mean_between(np.array([0, 0.1, 0.2]), np.array([1, np.nan, 1]), 0.0, 0.2))


def run(folder, *more, jobs="1"):
    arguments = ["--set", "librispeech-mini", "--model", "encodec_24khz_tiny", "--limit", "2", "--bandwidths", "1.5"]
    arguments += ["--metrics", "si_snr", "--jobs", jobs, "--out", str(folder), *more]
    assert main(arguments) == 0
    return results.load(folder)


@pytest.mark.slow
def test_a_run_through_a_line_is_the_same_whatever_the_workers(tmp_path):
    through = ["--through", "loss=0,0.2:burst=2", "generations=1,2", "ber=1e-3+loss=0.1"]
    one, two = run(tmp_path / "one", *through), run(tmp_path / "two", *through, jobs="2")
    quality = [scores.scores[~scores.scores.metric.str.startswith("x_realtime")] for scores in (one, two)]
    columns = ["clip", "point", "metric", "value", "reason"]
    assert quality[0][columns].equals(quality[1][columns])
    assert list(line.curves(one)["axis"]) == ["loss", "loss", "generations", "generations", "ber"]
    (area,) = line.areas(one, "si_snr").values()
    means = summarize(one).query("metric == 'si_snr'")["mean"].to_numpy()
    assert area.mean == pytest.approx((means[0] + means[1]) / 2)
    report = (one.folder / "report.md").read_text()
    for text in ("Quality over packets lost", "Quality over times coded", "Algorithmic delay", "13.33"):
        assert text in report, text
    assert (one.folder / "loss_si_snr.png").exists()
    settings = json.loads((one.folder / "config.json").read_text())["settings"]
    assert settings["systems"][0]["line_seed"] == 0
    assert settings["systems"][0]["through"][1] == "loss=0.2:burst=2"
    other = run(tmp_path / "other", *through, "--seed", "1")
    assert list(other.clips.id) != list(one.clips.id) or not other.scores.value.equals(one.scores.value)
