"""Headphone checks: what two ears hear is there, what one ear or a loudspeaker hears is not."""

import base64
import io
import json

import numpy as np
import pytest
import soundfile as sf

from encodec_eval.listening.crowd.headphones import (
    CHECKS,
    DURATION_S,
    GAP_S,
    RATE,
    antiphase,
    audio_script,
    huggins,
    noise,
    tone,
    trial_sound,
)  # fmt: skip

FREQUENCY = np.fft.rfftfreq(RATE, 1 / RATE)
BAND = np.abs(FREQUENCY - 600) <= 36


def inner(signal):
    """Without the 10 ms ramps, by which a spectrum leaks."""
    return signal[..., 1000:-1000]


def test_huggins_turns_the_phase_in_the_band_only():
    left, right = inner(noise(np.random.default_rng(1), pitch=True))
    cross = np.fft.rfft(left) * np.conj(np.fft.rfft(right))
    frequency = np.fft.rfftfreq(len(left), 1 / RATE)
    inside, outside = np.abs(frequency - 600) < 30, np.abs(frequency - 600) > 45
    assert (np.cos(np.angle(cross[inside])) < -0.5).mean() > 0.95, "180 degrees within 6 % of 600 Hz"
    assert (np.cos(np.angle(cross[outside])) > 0.99).mean() > 0.99, "the same elsewhere"


def test_neither_ear_alone_has_a_cue():
    """Over many seeds the band's level in one ear is that of white noise, with the pitch as without it."""
    levels = np.array(
        [[np.abs(np.fft.rfft(ear))[BAND].mean() for ear in noise(np.random.default_rng(n), True)] for n in range(40)]
    )
    plain = np.array([np.abs(np.fft.rfft(noise(np.random.default_rng(n), False)[0]))[BAND].mean() for n in range(40)])
    np.testing.assert_allclose(levels[:, 0], plain, rtol=1e-12)  # the left ear gets the plain noise
    np.testing.assert_allclose(levels[:, 1], plain, rtol=0.02)
    same = noise(np.random.default_rng(0), False)
    assert np.array_equal(same[0], same[1])


def test_a_loudspeaker_that_adds_both_hears_a_gap_instead_of_a_tone():
    mixed = np.abs(np.fft.rfft(noise(np.random.default_rng(3), pitch=True).sum(axis=0)))
    near = np.abs(FREQUENCY - 600) < 30
    assert 20 * np.log10(mixed[near].mean() / mixed[(FREQUENCY > 1000) & (FREQUENCY < 5000)].mean()) < -20


def test_the_tones_differ_by_6_db_and_cancel_in_antiphase():
    loud, soft, turned = (np.sqrt((tone(*kind) ** 2).mean()) for kind in ((False, False), (True, False), (False, True)))
    assert 20 * np.log10(loud / soft) == pytest.approx(6)
    assert turned == pytest.approx(loud), "over headphones the turned tone is as loud as the others"
    assert np.abs(tone(False, True).sum(axis=0)).max() < 1e-12, "loudspeakers add it up to nothing"
    spectrum = np.abs(np.fft.rfft(tone(False, False)[0]))
    assert FREQUENCY[spectrum.argmax()] == 200


@pytest.mark.parametrize(("make", "passes"), [(huggins, 6), (antiphase, 5)])
def test_six_trials_each_place_right_twice_the_same_for_the_same_seed(make, passes):
    trials = make(5)
    places = [place for _, place in trials]
    assert sorted(places) == [0, 0, 1, 1, 2, 2]
    assert {len(intervals) for intervals, _ in trials} == {3}
    assert CHECKS[make.__name__].passes == passes
    assert CHECKS[make.__name__].right(5) == places
    for (first, _), (second, _) in zip(trials, make(5), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert {tuple(CHECKS[make.__name__].right(seed)) for seed in range(9)} != {tuple(places)}


def test_in_antiphase_the_turned_tone_is_never_the_answer():
    for intervals, place in antiphase(0):
        turned = [i for i, each in enumerate(intervals) if np.abs(each.sum(axis=0)).max() < 1e-9]
        assert len(turned) == 1
        assert turned != [place]
        mono = [np.abs(each.sum(axis=0)).max() for each in intervals]
        assert int(np.argmin(mono)) != place, "over loudspeakers another one seems the softest"


def test_the_script_holds_six_stereo_files_that_do_not_clip():
    files = json.loads(audio_script("huggins", 1).removeprefix('mushraAudio("headphones", ').removesuffix(");\n"))
    assert sorted(files) == [f"h{n}" for n in range(6)]
    audio, rate = sf.read(io.BytesIO(base64.b64decode(files["h0"])))
    assert (rate, audio.shape) == (RATE, (round((3 * DURATION_S + 2 * GAP_S) * RATE), 2))
    assert np.abs(audio).max() < 0.9
    np.testing.assert_allclose(audio.T, trial_sound(huggins(1)[0][0]), atol=1 / 32768)
