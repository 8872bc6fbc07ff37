"""The metrics that are formulas of this project, against closed forms, other implementations and other packages."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
import torchaudio.functional

import codec.audio
from encodec_eval.datasets import bundled_set
from encodec_eval.metrics import METRICS
from encodec_eval.types import UndefinedError

RATE = 16000
FORMULAS = (
    "snr", "si_sdr", "seg_snr", "stft_distance", "mel_distance", "mcd", "lsd", "loudness_difference",
    "bandwidth_kept", "clipping",
)  # fmt: skip
DAC = {16000: (1.311328411102295, 0.41118791699409485), 44100: (1.300190806388855, 0.42111918330192566)}


def value(name: str, reference, estimate, rate: int = RATE) -> float:
    return METRICS[name].function(reference, estimate, METRICS[name].sample_rate or rate)


def white(seconds: float = 1.0, rate: int = RATE, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate))


def sine(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    clip = bundled_set("librispeech-mini").clips[8]
    return codec.audio.load(clip.path, frames=3 * RATE)[0][0].double().numpy()


@pytest.fixture(scope="module")
def noisy(speech) -> np.ndarray:
    return 0.9 * speech + white(3, level=0.01)


@pytest.mark.parametrize("name", FORMULAS)
def test_lengths_and_silence_give_a_number_in_range_or_a_reason(name):
    rate, (low, high) = METRICS[name].sample_rate or RATE, METRICS[name].range
    for length in (0, 1, 2, 319, 1024, 1025, 2048, rate):
        reference = white(2)[:length] if length < rate else white(1, rate)
        for estimate in (reference, 0.5 * reference, -reference, np.zeros(length), reference + 1e-3):
            try:
                assert low <= value(name, reference, estimate) <= high, (length, name)
            except UndefinedError:
                continue
        with pytest.raises(UndefinedError, match=r"silent|too few|too short"):
            value(name, np.zeros(length), reference)


@pytest.mark.parametrize("name", FORMULAS)
def test_what_is_no_pair_of_signals_is_refused(name):
    x = white(1, METRICS[name].sample_rate or RATE)
    for reference, estimate in ((x, x[1:]), (x[None], x[None]), (x, np.append(x[1:], np.inf)), (x * np.nan, x)):
        with pytest.raises(ValueError, match="expected") as caught:
            value(name, reference, estimate)
        assert not isinstance(caught.value, UndefinedError)


@pytest.mark.parametrize(
    ("name", "best"),
    [
        *[(name, 0) for name in ("stft_distance", "mel_distance", "mcd", "lsd", "clipping", "loudness_difference")],
        ("seg_snr", 35),
        ("bandwidth_kept", 100),
    ],
)
def test_identity_is_the_best_value(name, best, speech):
    assert value(name, speech, speech.copy()) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("name", ["snr", "si_sdr"])
def test_ratios_are_infinite_without_an_error(name, speech):
    with pytest.raises(UndefinedError, match="no error"):
        value(name, speech, speech.copy())


@pytest.mark.parametrize("name", FORMULAS)
def test_more_noise_is_never_better(name, speech):
    values = [value(name, speech, speech + white(3, level=level)) for level in (0.001, 0.01, 0.1, 0.5)]
    assert values == sorted(values, reverse=METRICS[name].higher_is_better is True)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5])
def test_snr_of_orthogonal_noise_at_a_known_level(snr_db):
    estimate = sine(100) + sine(300) * 10 ** (-snr_db / 20)
    assert value("snr", sine(100), estimate) == pytest.approx(snr_db, abs=1e-9)
    assert value("si_sdr", sine(100), -3 * estimate) == pytest.approx(snr_db, abs=1e-9)
    assert value("snr", sine(100), 0.5 * sine(100)) == pytest.approx(20 * math.log10(2), abs=1e-9)


def test_an_offset_is_an_error_to_si_sdr_and_none_to_si_snr():
    reference, estimate = sine(100), 2 * sine(100) + 0.1 + sine(300) * 1e-3
    expected = 10 * math.log10(2 / (0.01 + 0.5e-6))
    assert value("si_sdr", reference, estimate) == pytest.approx(expected, abs=1e-6)
    assert value("si_snr", reference, estimate) == pytest.approx(20 * math.log10(2e3), abs=1e-6)


def test_segmental_snr_by_hand_and_frame_by_frame(speech, noisy):
    reference = np.concatenate([sine(1000), 0.01 * sine(1000)])
    error = np.concatenate([0.1 * sine(3000), 0.01 * sine(3000)])
    assert value("seg_snr", reference, reference + error) == pytest.approx((20 + 0) / 2, abs=0.2)  # a frame of both
    assert value("seg_snr", reference, 100 * reference) == -10
    found, size = [], 480
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, size + 1) / (size + 1)))
    pieces = [slice(start, start + size) for start in range(0, len(speech) - size + 1, 120)]
    loudest = max(sum((speech[piece] * window) ** 2) for piece in pieces)
    for piece in pieces:
        signal = sum((speech[piece] * window) ** 2)
        if signal > 1e-6 * loudest:
            noise = sum(((speech[piece] - noisy[piece]) * window) ** 2)
            found.append(min(max(10 * math.log10(signal / noise), -10), 35))
    assert value("seg_snr", speech, noisy) == pytest.approx(np.mean(found), abs=1e-9)


def test_digital_silence_between_words_does_not_count_in_segmental_snr():
    reference = np.concatenate([sine(1000), np.zeros(RATE)])
    assert value("seg_snr", reference, reference.copy()) == 35


@pytest.mark.parametrize("rate", sorted(DAC))
def test_distances_are_those_of_descript_audio_codec(rate):
    """Values of the package's losses (1.0.0 with descript-audiotools 0.7.2, float32) on these signals."""
    t = np.arange(2 * rate) / rate
    reference = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.05 * np.random.default_rng(7).normal(size=2 * rate)
    estimate = 0.8 * reference + 0.02 * np.random.default_rng(8).normal(size=2 * rate)
    found = [value(name, reference, estimate, rate) for name in ("stft_distance", "mel_distance")]
    assert found == pytest.approx(DAC[rate], rel=1e-6)


def spectra(x: np.ndarray, size: int, hop: int, padded: bool = False) -> np.ndarray:
    """Magnitudes `[F, size // 2 + 1]` by numpy, frame by frame."""
    x = np.pad(x, size // 2, mode="reflect") if padded else x
    window = scipy.signal.get_window("hann", size)
    starts = range(0, len(x) - size + 1, hop)
    return np.stack([np.abs(np.fft.rfft(x[start : start + size] * window)) for start in starts])


def mel_bank(size: int, rate: int, bands: int) -> np.ndarray:
    """Slaney's filters `[size // 2 + 1, bands]`, by their corners on a scale linear to 1 kHz and logarithmic above."""
    step = math.log(6.4) / 27

    def to_hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * math.exp(step * (mel - 15))

    top = 15 + math.log(rate / 2 / 1000) / step
    corners = [to_hertz(mel) for mel in np.linspace(0, top, bands + 2)]
    bins = np.arange(size // 2 + 1) * rate / size
    triangles = [np.interp(bins, corners[m : m + 3], [0, 1, 0]) for m in range(bands)]
    return np.stack([2 * t / (corners[m + 2] - corners[m]) for m, t in enumerate(triangles)], axis=1)


def test_distances_are_those_of_plain_loops(speech, noisy):
    def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
        logs = [np.log10(np.maximum(each, 1e-5) ** 2) for each in (ours, theirs)]
        return float(np.abs(ours - theirs).mean() + np.abs(logs[0] - logs[1]).mean())

    expected = {"stft_distance": 0.0, "mel_distance": 0.0}
    for size, bands in ((2048, 150), (512, 80)):
        pair = [spectra(x, size, size // 4, padded=True) for x in (speech, noisy)]
        expected["stft_distance"] += distance(*pair)
        expected["mel_distance"] += distance(*(each @ mel_bank(size, RATE, bands) for each in pair))
    for name, each in expected.items():
        assert value(name, speech, noisy) == pytest.approx(each, rel=1e-5), name


def test_mel_cepstral_distortion_is_that_of_plain_loops(speech, noisy):
    bands = [spectra(x, 512, 160) ** 2 @ mel_bank(512, RATE, 80) for x in (speech, noisy)]
    heard = bands[0].sum(axis=1) > bands[0].sum(axis=1).max() * 1e-4
    logs = [0.5 * np.log(np.maximum(each, each.max() * 1e-8))[heard] for each in bands]
    m = np.arange(80)
    cosines = [2 / 80 * np.cos(np.pi * d * (m + 0.5) / 80) for d in range(1, 25)]
    squares = [((logs[0] - logs[1]) @ cosine) ** 2 for cosine in cosines]
    expected = 10 / math.log(10) * np.sqrt(2 * np.sum(squares, axis=0)).mean()
    assert value("mcd", speech, noisy) == pytest.approx(expected, rel=1e-6)


def test_mel_cepstral_distortion_is_the_spectral_difference_without_its_level(speech):
    assert value("mcd", speech, 0.5 * speech) == pytest.approx(0, abs=1e-9)
    noise, tilt = white(2), scipy.signal.lfilter([1, -0.5], [1], white(2))
    logs = [20 * np.log10(spectra(x, 512, 160) @ mel_bank(512, RATE, 80)) for x in (noise, tilt)]
    difference = logs[0].mean(axis=0) - logs[1].mean(axis=0)
    assert value("mcd", noise, tilt) == pytest.approx(np.std(difference), rel=0.1)


def test_log_spectral_distance_of_a_gain_is_that_gain_and_of_loops_the_same(speech, noisy):
    assert value("lsd", white(), 0.5 * white()) == pytest.approx(20 * math.log10(2), abs=0.01)
    power = [spectra(x, 1024, 256)[: 1 + (len(x) - 1024) // 256] ** 2 for x in (speech, noisy)]
    floored = [10 * np.log10(np.maximum(each, power[0].max() * 1e-8)) for each in power]
    expected = np.sqrt(((floored[0] - floored[1]) ** 2).mean(axis=1)).mean()
    assert value("lsd", speech, noisy) == pytest.approx(expected, rel=1e-9)


def test_loudness_difference_is_a_gain_and_that_of_torchaudio():
    tone, quiet = sine(997, 2, 48000), 0.25 * sine(997, 2, 48000)
    assert value("loudness_difference", tone, quiet) == pytest.approx(20 * math.log10(4), abs=1e-6)
    assert value("loudness_difference", quiet, tone) == pytest.approx(20 * math.log10(4), abs=1e-6)
    low = scipy.signal.lfilter(*scipy.signal.butter(4, 2000, fs=48000), white(2, 48000))
    theirs = [float(torchaudio.functional.loudness(torch.from_numpy(x)[None], 48000)) for x in (white(2, 48000), low)]
    found = value("loudness_difference", white(2, 48000), low)
    assert found == pytest.approx(theirs[0] - theirs[1], abs=0.1)
    with pytest.raises(ValueError, match="48000 Hz, got 16000"):
        METRICS["loudness_difference"].function(tone, quiet, 16000)


@pytest.mark.parametrize("kept_hz", [1000, 3500, 7000])
def test_bandwidth_kept_of_a_brick_wall(kept_hz):
    noise = white(4)
    spectrum = np.fft.rfft(noise)
    spectrum[round(kept_hz * 4) :] = 0
    found = value("bandwidth_kept", noise, np.fft.irfft(spectrum))
    assert found == pytest.approx(100 * kept_hz / 8000, abs=1)  # the window's skirt is a few bins of 15.6 Hz
    assert value("bandwidth_kept", np.fft.irfft(spectrum), noise) == 100


def test_bandwidth_ends_60_db_below_the_peak():
    for level_db, expected in ((-50, 75), (-70, 25)):
        estimate = sine(2000) + 10 ** (level_db / 20) * sine(6000)
        reference = sine(2000) + sine(8000 - 15.625)
        assert value("bandwidth_kept", reference, estimate) == pytest.approx(expected, abs=1)


def test_clipping_counts_what_the_reference_does_not_clip():
    reference, estimate = np.full(100, 0.5), np.full(100, 0.5)
    estimate[:5] = (1.0, -1.0, 1.3, 32767 / 32768, 0.9999)
    reference[0] = 1.0
    assert value("clipping", reference, estimate) == pytest.approx(3)


def test_entropy_and_perplexity_of_codes_by_hand():
    codes = np.array([[0, 1, 2, 3], [7, 7, 7, 7], [5, 5, 9, 9]])
    assert METRICS["code_entropy"].function(codes) == pytest.approx((2 + 0 + 1) / 3)
    assert METRICS["code_perplexity"].function(codes) == pytest.approx((4 + 1 + 2) / 3)
    skewed = np.array([[0] * 5 + [3] * 2 + [1]])
    expected = -sum(p * math.log2(p) for p in (5 / 8, 2 / 8, 1 / 8))
    assert METRICS["code_entropy"].function(skewed) == pytest.approx(expected)
    assert METRICS["code_perplexity"].function(skewed) == pytest.approx(2**expected)
    with pytest.raises(UndefinedError, match="no codes"):
        METRICS["code_entropy"].function(np.zeros((4, 0), dtype=np.int64))
    with pytest.raises(ValueError, match=r"expected codes \[K, F\], got \(4,\)"):
        METRICS["code_entropy"].function(np.zeros(4, dtype=np.int64))


def voice(hertz: float, seconds: float = 1.0) -> np.ndarray:
    """A tone with the harmonics of a voice."""
    return 0.1 * sum(sine(hertz * n, seconds) / n for n in range(1, 20))


def test_f0_of_voices_whose_pitch_is_known():
    pytest.importorskip("pyworld", reason="needs the extra [pitch]")
    assert value("f0_rmse", voice(120), voice(126)) == pytest.approx(6, abs=0.3)
    assert value("f0_rmse", voice(200), 0.1 * voice(200)) == pytest.approx(0, abs=0.1)
    half = np.concatenate([voice(150), white(1, level=0.05)])
    assert value("voicing_error", np.concatenate([voice(150), voice(150)]), half) == pytest.approx(50, abs=4)
    assert value("voicing_error", half, half.copy()) == 0


def test_f0_is_that_of_pyworld_and_its_failures_have_reasons(speech, noisy):
    pyworld = pytest.importorskip("pyworld", reason="needs the extra [pitch]")

    def contour(x):
        f0, t = pyworld.dio(x, RATE, f0_floor=60, f0_ceil=500, frame_period=10)
        return pyworld.stonemask(x, f0, t, RATE)

    ours, theirs = contour(speech), contour(noisy)
    both = (ours != 0) & (theirs != 0)
    expected = math.sqrt(sum((ours[both] - theirs[both]) ** 2) / sum(both))
    assert value("f0_rmse", speech, noisy) == pytest.approx(expected, rel=1e-9)
    assert value("voicing_error", speech, noisy) == pytest.approx(100 * np.mean((ours == 0) ^ (theirs == 0)))
    for name, reason in (("f0_rmse", "no frame is voiced in both"), ("voicing_error", "no voiced frame")):
        with pytest.raises(UndefinedError, match=reason):
            value(name, sine(5000), voice(150))
        with pytest.raises(UndefinedError, match="too few"):
            value(name, np.ones(1), np.ones(1))
        with pytest.raises(UndefinedError, match="silent"):
            value(name, np.zeros(RATE), voice(150))
