"""Each metric against the truth: closed forms, direct calls of the libraries, documented maxima and failures."""

from dataclasses import replace

import numpy as np
import pesq
import pystoi
import pytest
import torch

import codec.audio
from encodec_eval.__main__ import main
from encodec_eval.datasets import bundled_set
from encodec_eval.metrics import ALWAYS, GROUPS, METRICS, choose, in_group
from encodec_eval.run.pairing import Pair, find_lag, measure, split
from encodec_eval.run.worker import score
from encodec_eval.systems import lowpass
from encodec_eval.types import EvalError, Output, Point, UndefinedError
from tests.encodec_eval import fakes

RATE = 16000


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    clip = bundled_set("librispeech-mini").clips[8]
    return codec.audio.load(clip.path, frames=4 * RATE)[0]


def scored(name: str, reference: torch.Tensor, estimate: torch.Tensor, rate: int = RATE) -> float:
    return measure(METRICS[name], Pair(reference, rate, estimate, rate))


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5, 40.0])
def test_si_snr_of_orthogonal_noise_at_a_known_level(snr_db):
    t = np.arange(RATE) / RATE
    signal, noise = np.sin(2 * np.pi * 100 * t), np.sin(2 * np.pi * 300 * t)
    estimate = signal + noise * 10 ** (-snr_db / 20)
    assert METRICS["si_snr"].function(signal, estimate, RATE) == pytest.approx(snr_db, abs=1e-9)
    assert METRICS["si_snr"].function(signal, -0.2 * estimate, RATE) == pytest.approx(snr_db, abs=1e-9)


def test_si_snr_equals_a_least_squares_projection(speech):
    reference = speech[0].double().numpy()
    estimate = np.random.default_rng(0).normal(0, 0.05, len(reference)) + 0.3 * reference
    basis = np.stack([reference - reference.mean()], axis=1)
    centred = estimate - estimate.mean()
    projected = basis @ np.linalg.lstsq(basis, centred, rcond=None)[0]
    expected = 20 * np.log10(np.linalg.norm(projected) / np.linalg.norm(centred - projected))
    assert METRICS["si_snr"].function(reference, estimate, RATE) == pytest.approx(expected, abs=1e-9)


def test_identity_gives_each_maximum(speech):
    assert scored("pesq", speech, speech) == pytest.approx(METRICS["pesq"].range[1], abs=0.01)
    assert scored("pesq_nb", speech, speech) == pytest.approx(METRICS["pesq_nb"].range[1], abs=0.01)
    assert scored("stoi", speech, speech) == pytest.approx(1, abs=1e-6)
    assert scored("estoi", speech, speech) == pytest.approx(1, abs=1e-6)
    assert scored("log_mel", speech, speech) == pytest.approx(0, abs=1e-12)
    with pytest.raises(UndefinedError, match="infinite"):
        scored("si_snr", speech, speech)


def test_pesq_and_stoi_are_those_of_the_libraries(speech):
    estimate = fakes.noisy(speech, RATE)
    ours = {name: scored(name, speech, estimate) for name in ("pesq", "stoi", "estoi")}
    reference, degraded = speech[0].double().numpy(), estimate[0].double().numpy()
    assert ours["pesq"] == pesq.pesq(RATE, reference, degraded, "wb")
    # Sums in numpy may differ in the last digit with where in memory the arrays lie.
    assert ours["stoi"] == pytest.approx(pystoi.stoi(reference, degraded, RATE), rel=1e-12)
    assert ours["estoi"] == pytest.approx(pystoi.stoi(reference, degraded, RATE, extended=True), rel=1e-12)


def test_gain_and_polarity_do_not_matter_to_scale_invariant_metrics(speech):
    estimate = fakes.noisy(speech, RATE)
    for name in ("si_snr", "stoi", "pesq"):
        tolerance = 0.01 if name == "pesq" else 1e-6  # PESQ aligns levels in float32
        assert scored(name, speech, 0.5 * estimate) == pytest.approx(scored(name, speech, estimate), abs=tolerance)
    assert scored("si_snr", speech, -estimate) == pytest.approx(scored("si_snr", speech, estimate), abs=1e-9)


def test_log_mel_distance_of_a_gain_is_that_gain():
    noise = torch.randn(1, RATE, generator=torch.Generator().manual_seed(1)) * 0.1
    assert scored("log_mel", noise, noise * 0.5) == pytest.approx(20 * np.log10(2), abs=1e-4)


@pytest.mark.parametrize("delay", [-320, -7, 0, 1, 320])
def test_a_delay_is_found_and_removed(speech, delay):
    assert find_lag(speech[0], torch.roll(speech[0], delay), 800) == delay
    spectra: dict[int, torch.Tensor] = {}
    for again in (delay, 0, delay):  # with and without the spectrum of the one before
        assert find_lag(speech[0], torch.roll(speech[0], again), 800, spectra) == again
    assert len(spectra) == 1
    pair = Pair(speech, RATE, torch.roll(-speech, delay, dims=-1), RATE)
    assert pair.lag_s == delay / RATE
    audio, _ = pair.at(None, "mono")
    np.testing.assert_array_equal(audio[0, 0, 1000:-1000], -audio[1, 0, 1000:-1000])


@pytest.mark.parametrize(
    ("broken", "reason"),
    [("silence", "output is silent"), ("nan", "NaN or infinite"), ("truncated", "0.500 s shorter")],
)
def test_broken_outputs_have_a_reason(speech, broken, reason):
    with pytest.raises(UndefinedError, match=reason):
        Pair(speech, RATE, getattr(fakes, broken)(speech, RATE), RATE)


def test_a_silent_reference_has_a_reason(speech):
    with pytest.raises(UndefinedError, match="reference is silent"):
        Pair(torch.zeros_like(speech), RATE, speech, RATE)


def test_too_short_or_silent_pieces_are_failures_not_scores(speech):
    short = speech[:, RATE : RATE + 2000]
    for name, reason in (("pesq", "BufferTooShort"), ("stoi", "30 frames"), ("log_mel", None)):
        if reason:
            with pytest.raises(UndefinedError, match=reason):
                scored(name, short, 0.9 * short)
        else:
            assert np.isfinite(scored(name, short, 0.9 * short))
    with pytest.raises(UndefinedError):
        scored("log_mel", short[:, :100], short[:, :100])


def test_long_audio_is_scored_in_equal_pieces():
    lengths = [piece.shape[-1] for piece in split(np.zeros((2, 1, 45 * RATE + 1)), 20, RATE)]
    assert len(lengths) == 3
    assert sum(lengths) == 45 * RATE + 1
    assert max(lengths) - min(lengths) <= 1
    assert len(split(np.zeros(20 * RATE), 20, RATE)) == 1


def test_stereo_is_scored_by_channel_where_a_metric_says_so(speech):
    stereo = torch.cat([speech, speech.flip(-1)])
    noise = torch.randn(stereo.shape, generator=torch.Generator().manual_seed(2)) * torch.tensor([[0.01], [0.1]])
    by_channel = [scored("si_snr", stereo[c : c + 1], (stereo + noise)[c : c + 1]) for c in (0, 1)]
    assert scored("si_snr", stereo, stereo + noise) == pytest.approx(np.mean(by_channel), abs=1e-6)


def test_bitrates_and_speed_by_hand():
    output = Output(
        Point("x@6", "x", 6.0), torch.zeros(1, 1), RATE, payload_bytes=7500, file_bytes=8000, encode_s=2.0, decode_s=0.5
    )
    values = {
        name: METRICS[name].function(output, 10.0)
        for name in ALWAYS
        if METRICS[name].kind == "output" and name != "bitrate_entropy"
    }
    assert values == {
        "bitrate_nominal": 6,
        "bitrate_payload": 6,
        "bitrate_file": 6.4,
        "x_realtime_encode": 5,
        "x_realtime_decode": 20,
    }
    with pytest.raises(UndefinedError, match="no entropy bytes"):
        METRICS["bitrate_entropy"].function(output, 10.0)


def test_code_metrics_take_the_codes_of_all_segments_and_need_some(speech):
    clip, metrics = bundled_set("librispeech-mini").clips[8], [METRICS["code_entropy"], METRICS["lag_ms"]]
    output = Output(Point("x", "x"), speech, RATE, codes=torch.tensor([[[0, 0], [1, 1]], [[2, 3], [1, 1]]]))
    entropy, lag = score(clip, speech, RATE, output, metrics)
    assert entropy.value == pytest.approx((1.5 + 0) / 2)  # 0 0 2 3 and 1 1 1 1
    assert lag.value == 0
    without, _ = score(clip, speech, RATE, replace(output, codes=None), metrics)
    assert without.reason == "this system has no codes"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rate"), [("visqol_speech", 16000), ("visqol_audio", 48000)])
def test_visqol_ranks_what_anyone_hears_apart(speech, name, rate):
    visqol = pytest.importorskip("visqol", reason="needs the extra [visqol]")
    wav = codec.audio.resample(speech[:, : 2 * RATE], RATE, rate)
    outputs = [
        wav,
        lowpass(wav, rate, 7000),
        lowpass(wav, rate, 3500),
        fakes.noisy(lowpass(wav, rate, 3500), rate),
    ]
    values = [scored(name, wav, output, rate) for output in outputs]
    low, high = METRICS[name].range
    assert values[0] == pytest.approx(high, abs=0.02), "identity is the documented maximum"
    assert values == sorted(values, reverse=True)
    assert low <= values[-1] < values[0] - 0.5
    mode = name.removeprefix("visqol_")
    api = visqol.VisqolApi()
    api.create(mode=mode, use_lattice_model=False if mode == "speech" else None)
    direct = api.measure_from_arrays(wav[0].double().numpy(), outputs[1][0].double().numpy(), rate).moslqo
    assert values[1] == pytest.approx(direct, abs=1e-9)


def test_choosing_metrics():
    assert choose(None)[:3] == ["pesq", "stoi", "si_snr"]
    assert set(ALWAYS) <= set(choose(["si_snr"]))
    with pytest.raises(EvalError, match="no metric 'mos'; expected"):
        choose(["mos"])
    assert choose(["stoi", "log_mel", "stoi"]) == ["stoi", "log_mel", *ALWAYS]


def test_groups_hold_what_is_for_them_and_all_holds_everything(monkeypatch):
    monkeypatch.setattr("encodec_eval.metrics.installed", lambda package: True)
    speech, music, everything = (choose([group]) for group in ("speech", "music", "all"))
    assert {"pesq", "estoi", "mcd", "f0_rmse", "voicing_error", "visqol_speech", "seg_snr"} <= set(speech) - set(music)
    assert {"visqol_audio"} <= set(music) - set(speech)
    assert {"si_sdr", "stft_distance", "mel_distance", "lsd", "bandwidth_kept", "clipping"} <= set(music) & set(speech)
    assert set(everything) == {name for name, metric in METRICS.items() if not metric.on_request}
    assert choose(["speech", "pesq", "music"]) == list(
        dict.fromkeys([*in_group("speech"), *in_group("music"), *ALWAYS])
    )


def test_a_group_leaves_out_what_is_not_installed_and_a_name_is_refused(monkeypatch, caplog):
    monkeypatch.setattr("encodec_eval.metrics.installed", lambda package: package != "pyworld")
    assert not {"f0_rmse", "voicing_error"} & set(choose(["speech"]))
    assert "left out f0_rmse: it needs pyworld: pip install 'encodec-tools[pitch]'" in caplog.messages
    with pytest.raises(EvalError, match=r"metric f0_rmse needs pyworld: pip install 'encodec-tools\[pitch\]'"):
        choose(["speech", "f0_rmse"])


def test_every_metric_says_what_it_is_for(capsys):
    assert main(["metrics"]) == 0
    rows = {line.split("|")[1].strip(): line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")}
    assert rows.keys() - {"metric"} == METRICS.keys()
    assert all(metric.purpose and metric.source and set(metric.groups) <= set(GROUPS) for metric in METRICS.values())
    for text in ("0 to 440 Hz", "lower is better", "speech, all", "16000 Hz, mono", "extra [pitch], "):
        assert text in rows["f0_rmse"]
    assert "any number dB" in rows["snr"]
    assert "| always " in rows["lag_ms"]
    assert "| with --through " in rows["lost"]
    assert "by default; speech, all" in rows["pesq"]
