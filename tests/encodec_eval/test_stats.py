"""Statistics against scipy, published examples and values worked by hand."""

import numpy as np
import pytest
import scipy.stats

from encodec_eval import stats

REPETITIONS = 800
NORMAL, SKEWED = (92, 99), (83, 99)  # per cent of draws in which 95 % intervals may hold the truth


def test_interval_of_single_clips_is_the_t_interval():
    values = np.random.default_rng(0).gamma(2.0, size=60)
    ours = stats.mean_interval(values, list(range(60)))
    theirs = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert ours.mean == values.mean()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_speakers_with_equally_many_clips_are_a_t_interval_on_their_means():
    values = np.random.default_rng(0).normal(size=20)
    ours = stats.mean_interval(values, list("abcde") * 4)
    theirs = scipy.stats.ttest_1samp(values.reshape(4, 5).mean(0), 0).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_speakers_with_different_numbers_of_clips_by_hand():
    # Clips 0, 0, 3 of a, b, b: without a 1.5, without b 0; the mean is 1. Error sqrt(1/2 * (0.25 + 1)).
    interval = stats.mean_interval([0.0, 0.0, 3.0], ["a", "b", "b"])
    assert interval.mean == 1
    assert interval.high - 1 == pytest.approx(np.sqrt(0.625) * scipy.stats.t.ppf(0.975, 1))
    assert 1 - interval.low == pytest.approx(interval.high - 1)


def test_weighted_means_are_errors_over_words_by_hand():
    # 1 of 2, 3 of 10 and 0 of 8 words of a, b, b: 4 of 20; without a 3 of 18, without b 1 of 2.
    rates, words = [50.0, 30.0, 0.0, np.nan, 70.0], [2.0, 10.0, 8.0, 5.0, np.nan]
    pooled = stats.mean_interval(rates, list("abbbb"), words)
    error = np.sqrt(1 / 2 * ((300 / 18 - 20) ** 2 + (50 - 20) ** 2))
    assert pooled.mean == pytest.approx(20)
    assert pooled.high - 20 == pytest.approx(error * scipy.stats.t.ppf(0.975, 1))
    assert 20 - pooled.low == pytest.approx(pooled.high - 20)


def test_equal_weights_change_nothing():
    rng = np.random.default_rng(0)
    values, speakers = rng.normal(size=20), list("aabbbcdeee" * 2)
    ours, theirs = stats.mean_interval(values, speakers, np.full(20, 3.0)), stats.mean_interval(values, speakers)
    assert (ours.mean, ours.low, ours.high) == pytest.approx((theirs.mean, theirs.low, theirs.high), abs=1e-12)
    tables = [np.array([[6.0, 12.0]]).repeat(20, 0), np.array([[1.0, 2.0]]) + values[:, None] / 10]
    deltas = [stats.bjontegaard_intervals(*tables, tables[0], tables[1] + 0.3, speakers, w) for w in (None, [7.0] * 20)]
    assert deltas[0].quality.mean == pytest.approx(-0.3)
    ends = [(each.quality.low, each.quality.high, each.rate_percent.mean) for each in deltas]
    assert ends[1] == pytest.approx(ends[0], abs=1e-9, nan_ok=True)


def test_bjontegaard_deltas_weigh_qualities_by_clip():
    rates = np.array([[6.0, 12.0], [6.0, 12.0]])
    ours, theirs = np.array([[1.0, 2.0], [2.0, 3.0]]), np.array([[1.0, 2.0], [1.0, 2.0]])
    delta = stats.bjontegaard_intervals(rates, ours, rates, theirs, ["a", "b"], [3.0, 1.0])
    assert delta.quality.mean == pytest.approx(0.25)
    assert delta.quality.high > delta.quality.mean > delta.quality.low


def test_degrees_of_freedom_against_the_matrices_they_are_defined_by():
    groups = stats.Groups.of(np.repeat(list("abcdef"), [1, 2, 3, 5, 8, 13]))
    w = groups.sizes / groups.sizes.sum()
    centre = np.eye(6) - np.outer(np.ones(6), w)
    matrix = centre.T @ np.diag((w / (1 - w)) ** 2) @ centre
    expected = np.trace(matrix) ** 2 / np.trace(matrix @ matrix)
    assert groups.degrees_of_freedom == pytest.approx(expected)
    assert expected < 5
    assert stats.Groups.of(list("aabbcc")).degrees_of_freedom == pytest.approx(2)


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


def test_the_p_value_and_the_interval_agree_for_speakers_of_any_size():
    generator = np.random.default_rng(5)
    speakers = np.repeat(list("abcdef"), [1, 2, 3, 4, 9, 20])
    draws = [0.3 + generator.normal(size=6)[np.searchsorted(list("abcdef"), speakers)] for _ in range(200)]
    found = [stats.paired_difference(draw, np.zeros(len(speakers)), list(speakers)) for draw in draws]
    assert 0 < sum(each.p < 0.05 for each in found) < 200
    assert all((each.p < 0.05) == (not each.low <= 0 <= each.high) for each in found)


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


def test_bjontegaard_intervals_are_the_deltas_of_the_means_and_leave_out_speakers():
    rates, speakers = np.tile([6.0, 12, 24], (4, 1)), ["a", "a", "b", "c"]
    quality = np.log2(rates) + np.array([[0.0], [0.4], [0.2], [0.9]])
    better = quality + np.array([[1.0], [1.2], [1.1], [0.9]])
    better[3, 0] = np.nan
    found = stats.bjontegaard_intervals(rates, better, rates, quality, speakers)
    whole = stats.bjontegaard(rates[0], np.nanmean(better, 0), rates[0], quality.mean(0))
    assert (found.rate_percent.mean, found.quality.mean) == pytest.approx((whole.rate_percent, whole.quality))
    for each in (found.rate_percent, found.quality):
        assert each.low < each.mean < each.high
    alone = stats.bjontegaard_intervals(rates, better, rates, quality, ["a"] * 4)
    assert alone.quality.mean == found.quality.mean
    assert np.isnan(alone.quality.low)


def curves(clips: int, speakers: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Rates and qualities `[clips, 4]` of a codec and an anchor, some missing, and the speaker of each clip."""
    generator = np.random.default_rng(seed)
    speaker = generator.integers(speakers, size=clips)
    voice = generator.normal(0, 0.3, speakers)[speaker][:, None]
    rates = np.array([1.5, 3, 6, 12]) * np.exp(generator.normal(0, 0.05, (clips, 4)))
    quality = 1 + np.log2([1.5, 3, 6, 12]) + voice + generator.normal(0, 0.2, (clips, 4))
    quality[generator.random((clips, 4)) < 0.05] = np.nan
    return [rates, quality + 0.3, rates[::-1], quality], speaker


def test_bjontegaard_intervals_are_those_of_computing_the_deltas_without_each_speaker():
    tables, speaker = curves(60, 12)
    found = stats.bjontegaard_intervals(*tables, speaker)
    names = np.unique(speaker)
    without = [stats.bjontegaard(*(np.nanmean(table[speaker != name], axis=0) for table in tables)) for name in names]
    _, half = stats.jackknife(
        found.quality.mean, np.array([each.quality for each in without]), stats.Groups.of(speaker)
    )
    assert (found.quality.low, found.quality.high) == pytest.approx(
        (found.quality.mean - half, found.quality.mean + half), rel=1e-12
    )


def test_blocks_of_speakers_give_about_the_interval_of_single_speakers(monkeypatch):
    tables, speaker = curves(3000, 300)
    single = stats.bjontegaard_intervals(*tables, speaker)
    monkeypatch.setattr(stats, "MOST_BLOCKS", 100)
    blocks = stats.bjontegaard_intervals(*tables, speaker)
    assert blocks.quality.mean == single.quality.mean
    for one, other in ((single.quality, blocks.quality), (single.rate_percent, blocks.rate_percent)):
        assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.2)
    assert stats.Groups.of(speaker).blocks(100).sizes.sum() == 3000
    assert len(stats.Groups.of(speaker).blocks(100).sizes) == 100


def test_groups_of_what_is_kept():
    groups = stats.Groups.of(["a", "b", "b", "c"])
    kept = groups.subset(np.array([True, False, True, False]))
    assert (kept.membership.tolist(), kept.sizes.tolist()) == ([0, 1], [1, 1])
    assert groups.subset(np.ones(4, dtype=bool)) is groups
    assert groups.sums(np.array([[1.0], [2], [3], [4]])).tolist() == [[1], [5], [4]]


def noise(generator: np.random.Generator, kind: str, *size: int) -> np.ndarray:
    """Noise of mean 0 and variance 1, normal or lognormal."""
    if kind == "normal":
        return generator.normal(size=size)
    return (generator.lognormal(size=size) - np.exp(0.5)) / np.sqrt(np.e**2 - np.e)


def speakers_of(generator: np.random.Generator, count: int, balanced: bool) -> np.ndarray:
    """The speaker of each clip: 6 clips each, or about 6."""
    sizes = np.full(count, 6) if balanced else np.ceil(5 * generator.lognormal(0, 0.5, count)).astype(int)
    return np.repeat(np.arange(count), sizes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "skewed"])
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("count", [4, 5, 7, 10, 20, 40])
def test_intervals_hold_the_truth(kind, balanced, count):
    generator = np.random.default_rng(count)
    held = np.zeros(2)
    for _ in range(REPETITIONS):
        speaker = speakers_of(generator, count, balanced)
        reference = noise(generator, kind, count)[speaker] + noise(generator, kind, len(speaker))
        change = noise(generator, kind, count)[speaker] + noise(generator, kind, len(speaker))
        mean = stats.mean_interval(reference, list(speaker))
        difference = stats.paired_difference(reference + 0.3 * change, reference, list(speaker))
        held += [mean.low <= 0 <= mean.high, difference.low <= 0 <= difference.high]
    low, high = NORMAL if kind == "normal" else SKEWED
    held *= 100 / REPETITIONS
    assert ((low <= held) & (held <= high)).all(), held


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "skewed"])
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("count", [4, 10, 40])
def test_intervals_of_bjontegaard_deltas_hold_the_truth(kind, balanced, count):
    # Both curves are quality = 2 log2(rate), one 1 higher: half an octave of rate. Clips vary, also in their rates.
    generator = np.random.default_rng(count)
    nominal = np.array([3.0, 6, 12, 24])
    held = np.zeros(2)
    for _ in range(REPETITIONS // 4):
        speaker = speakers_of(generator, count, balanced)
        shared = 0.3 * noise(generator, kind, count)[speaker]
        tables = []
        for gain in (1, 0):
            own = 0.3 * noise(generator, kind, count)[speaker]
            jitter = noise(generator, kind, len(speaker), 4)
            tables.append(nominal * (1 + 0.05 * generator.normal(size=(len(speaker), 4))))
            tables.append(2 * np.log2(nominal) + gain + (shared + own)[:, None] + 0.2 * jitter)
        found = stats.bjontegaard_intervals(*tables, list(speaker))
        truth = 100 * (2**-0.5 - 1)
        held += [
            found.rate_percent.low <= truth <= found.rate_percent.high,
            found.quality.low <= 1 <= found.quality.high,
        ]
    low, _ = NORMAL if kind == "normal" else SKEWED
    held *= 400 / REPETITIONS
    # Fewer repetitions than above: their own error is 1.5 per cent.
    assert ((low - 3 <= held) & (held <= 100)).all(), held
