"""Statistics against scipy, published examples and values worked by hand."""

import numpy as np
import pytest
import scipy.stats

from encodec_eval import stats


def test_bootstrap_of_single_clips_agrees_with_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=60)
    ours = stats.mean_interval(values, list(range(60)))
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert ours.mean == values.mean()
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_speakers_are_drawn_whole():
    # Two speakers, each with constant scores: a draw is both (mean 2), or one of them twice (0 or 4).
    values, speakers = [0.0] * 3 + [4.0] * 3, ["a"] * 3 + ["b"] * 3
    means = stats.bootstrap_means(values, speakers)
    assert set(means) == {0.0, 2.0, 4.0}
    assert np.mean(means == 2) == pytest.approx(0.5, abs=0.02)


def test_missing_scores_are_no_numbers():
    interval = stats.mean_interval([1.0, np.nan, 3.0], ["a", "b", "c"])
    assert interval.mean == 2
    assert np.isnan(stats.mean_interval([np.nan], ["a"]).mean)
    one = stats.mean_interval([5.0, 7.0], ["a", "a"])
    assert one.mean == 6
    assert np.isnan(one.low)


def test_paired_difference_is_a_t_test_on_speakers():
    generator = np.random.default_rng(3)
    speakers = np.repeat(list("abcdef"), 5)
    reference = generator.normal(size=30)
    values = reference + 0.4 + generator.normal(0, 0.3, size=30)
    found = stats.paired_difference(values, reference, list(speakers))
    means = [(values - reference)[speakers == name].mean() for name in "abcdef"]
    assert found.p == pytest.approx(scipy.stats.ttest_1samp(means, 0).pvalue)
    assert found.mean == pytest.approx((values - reference).mean())
    assert found.low < found.mean < found.high
    assert found.n == 30


def test_paired_difference_of_equal_systems():
    found = stats.paired_difference([1.0, 2.0, np.nan], [1.0, 2.0, 3.0], ["a", "b", "c"])
    assert (found.mean, found.p, found.n) == (0, 1, 2)


def test_holm_by_hand():
    # Sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04; never below the one before: .04 .06 .06 .06.
    np.testing.assert_allclose(stats.holm([0.04, 0.01, np.nan, 0.03, 0.02]), [0.06, 0.04, np.nan, 0.06, 0.06])
    assert stats.holm([0.9, 0.8]).tolist() == [1, 1]


def test_bjontegaard_of_a_shifted_curve_is_the_shift():
    rates, quality = np.array([6, 12, 24, 48.0]), np.array([1.5, 2.4, 3.1, 3.6])
    cheaper = stats.bjontegaard(rates * 0.8, quality, rates, quality)
    assert cheaper.rate_percent == pytest.approx(-20, abs=1e-9)
    better = stats.bjontegaard(rates, quality + 0.25, rates, quality)
    assert better.quality == pytest.approx(0.25, abs=1e-9)


def test_bjontegaard_without_a_common_span_or_monotony():
    rates = [6.0, 12.0]
    assert np.isnan(stats.bjontegaard(rates, [1, 2], rates, [3, 4]).rate_percent)
    assert np.isnan(stats.bjontegaard([6, 12, 24], [1, 3, 2], [6, 12, 24], [1, 2, 3]).rate_percent)
    assert np.isnan(stats.bjontegaard([6], [1], rates, [1, 2]).quality)


def test_bjontegaard_of_a_published_example():
    # Data of the example of the package bjontegaard (FAU-LMS), and what its version 1.3.0 gives by the interpolation of
    # JVET's common test conditions (method "pchip"), which its authors checked against JVET's spreadsheet.
    anchor = [9487.76, 4593.60, 2486.44, 1358.24], [40.037, 38.615, 36.845, 34.851]
    test = [9787.80, 4469.00, 2451.52, 1356.24], [40.121, 38.651, 36.970, 34.987]
    delta = stats.bjontegaard(*test, *anchor)
    assert delta.rate_percent == pytest.approx(-4.417485350589045, abs=1e-9)
    assert delta.quality == pytest.approx(0.11969278542479489, abs=1e-9)


def test_bjontegaard_close_to_the_cubic_fit_of_vceg_m33():
    # Rates (kbps) and PSNR (dB) of the example that the common open implementations of VCEG-M33 carry.
    anchor_rates, anchor = [686.76, 309.58, 157.11, 85.95], [40.28, 37.18, 34.24, 31.42]
    rates, quality = [893.34, 407.8, 204.93, 112.75], [40.39, 37.21, 34.17, 31.24]
    cubic = [np.polyfit(q, np.log10(r), 3) for q, r in ((quality, rates), (anchor, anchor_rates))]
    low, high = max(min(quality), min(anchor)), min(max(quality), max(anchor))
    ours_area, anchor_area = (np.diff(np.polyval(np.polyint(fit), [low, high]))[0] for fit in cubic)
    expected = (10 ** ((ours_area - anchor_area) / (high - low)) - 1) * 100
    assert stats.bjontegaard(rates, quality, anchor_rates, anchor).rate_percent == pytest.approx(expected, abs=0.5)


def test_perplexity_by_hand():
    assert stats.perplexity([5, 5, 5, 5, 0]) == pytest.approx((2, 4))
    assert stats.perplexity([7]) == pytest.approx((0, 1))
