"""The metrics with weights inside packages: as the packages themselves say, in order of quality, on odd audio."""

import hashlib
import sys
import types

import numpy as np
import pytest
import torch

import codec.audio
from encodec_eval import mel, weights
from encodec_eval.datasets import bundled_set
from encodec_eval.metrics import METRICS, choose
from encodec_eval.metrics import wer as wer_module
from encodec_eval.run.pairing import Pair, measure
from encodec_eval.run.runner import Run
from encodec_eval.run.worker import Plan, told
from encodec_eval.systems import Identity
from encodec_eval.types import Clip, EvalError, UndefinedError
from tests.encodec_eval import fakes

RATE = 16000
NEEDS = {
    "dnsmos_ovrl": "speechmos", "dnsmos_sig": "speechmos", "dnsmos_bak": "speechmos", "dnsmos_p808": "speechmos",
    "plcmos": "speechmos", "distillmos": "distillmos", "zimtohrli": "zimtohrli", "zimtohrli_mos": "zimtohrli",
    "speaker_similarity": "resemblyzer", "dwer": "faster_whisper", "visqol_speech_lattice": "ai_edge_litert",
}  # fmt: skip


def need(name: str) -> None:
    """Skip where the packages of a metric are not installed."""
    try:
        choose([name])
    except EvalError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    clip = bundled_set("librispeech-mini").clips[3]
    return codec.audio.load(clip.path, frames=4 * RATE)[0]


def scored(name: str, reference: torch.Tensor, estimate: torch.Tensor, rate: int = RATE) -> float:
    return measure(METRICS[name], Pair(reference, rate, estimate, rate))


def with_noise(wav: torch.Tensor, snr_db: float) -> torch.Tensor:
    noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(0))
    return wav + noise * wav.square().mean().sqrt() * 10 ** (-snr_db / 20)


def with_gaps(wav: torch.Tensor, share: float) -> torch.Tensor:
    """Packets of 20 ms, some of them lost."""
    lost = torch.rand(wav.shape[-1] // 320 + 1, generator=torch.Generator().manual_seed(1)) < share
    return wav * (~lost).repeat_interleave(320)[: wav.shape[-1]]


def test_a_metric_whose_package_is_absent_names_the_extra(monkeypatch):
    monkeypatch.setattr("encodec_eval.metrics.installed", lambda package: False)
    with pytest.raises(EvalError, match=r"distillmos needs distillmos: pip install 'encodec-tools\[perceptual\]'"):
        choose(["distillmos"])


def test_weights_that_are_not_there_are_named():
    with pytest.raises(EvalError, match=r"no weights torch/nothing\.onnx"):
        weights.find("torch/nothing.onnx")
    with pytest.raises(EvalError, match="no weights nopackage/x"):
        weights.find("nopackage/x")


def test_the_hash_of_weights_is_that_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "made").mkdir()
    (tmp_path / "made/__init__.py").touch()
    (tmp_path / "made/weights.bin").write_bytes(b"abc")
    monkeypatch.syspath_prepend(tmp_path)
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert weights.sha256("made/weights.bin") == known


def test_a_signal_is_computed_once():
    calls = []

    @weights.remember(size=2)
    def total(signal):
        calls.append(1)
        return signal.sum()

    one, two, three = np.ones(3), np.ones(4), np.ones(5)
    assert [total(x) for x in (one, one.copy(), two, one, three, two, one)] == [3, 3, 4, 3, 5, 4, 3]
    assert len(calls) == 4  # the last: `one` was forgotten for `three`


def test_mel_filters_by_hand():
    found = mel.filters(512, RATE, 40)
    assert found.shape == (40, 257)
    edges = mel.to_hz(np.linspace(0, mel.to_mel(8000), 42))
    assert mel.to_mel(1000) == pytest.approx(15)
    assert mel.to_mel(6400) == pytest.approx(42), "27 steps take the logarithmic part from 1 to 6.4 kHz"
    assert mel.to_hz(np.array([42.0])) == pytest.approx(6400)
    wide = found[-5:]
    np.testing.assert_allclose(wide.sum(1) * RATE / 512, 1, rtol=0.02)  # unit area, where many bins lie in a triangle
    assert abs(found[30].argmax() * RATE / 512 - edges[31]) <= RATE / 512


@pytest.mark.slow
def test_mel_power_is_that_of_librosa(speech):
    librosa = pytest.importorskip("librosa")
    signal = speech[0].double().numpy()
    for size, bands in ((321, 120), (400, 40)):
        theirs = librosa.feature.melspectrogram(y=signal, sr=RATE, n_fft=size, hop_length=160, n_mels=bands).T
        np.testing.assert_allclose(mel.mel_power(signal, RATE, size, 160, bands), theirs, rtol=1e-5, atol=1e-9)


@pytest.mark.slow
def test_dnsmos_is_that_of_the_package(speech):
    need("dnsmos_ovrl")
    pytest.importorskip("librosa")
    dnsmos = pytest.importorskip("speechmos.dnsmos")
    estimate = with_noise(speech, 15)
    theirs = dnsmos.run(estimate[0].double().numpy(), RATE)
    for name in ("ovrl", "sig", "bak", "p808"):
        ours = METRICS[f"dnsmos_{name}"].function(None, estimate[0].double().numpy(), RATE)
        assert ours == pytest.approx(theirs[f"{name}_mos"], abs=1e-3), name


def test_plcmos_is_that_of_the_package_with_the_same_raters(speech):
    need("plcmos")
    plcmos = pytest.importorskip("speechmos.plcmos")
    estimate = with_gaps(speech, 0.1)[0].double().numpy()
    np.random.seed(0)
    assert METRICS["plcmos"].function(None, estimate, RATE) == pytest.approx(
        plcmos.run(estimate, RATE)["plcmos"], abs=1e-4
    )


@pytest.mark.slow
def test_the_voice_is_that_of_the_package(speech, monkeypatch):
    need("speaker_similarity")
    pytest.importorskip("librosa")
    monkeypatch.setitem(sys.modules, "webrtcvad", types.ModuleType("webrtcvad"))  # of its trimming, which we do not use
    resemblyzer = pytest.importorskip("resemblyzer")
    from encodec_eval.metrics.speaker import embedding

    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    for length in (8000, 4 * RATE, 4 * RATE - 12345):
        signal = speech[0, :length].double().numpy()
        signal = signal * max(1.0, 10 ** (-30 / 20) / np.sqrt(np.mean(signal**2)))
        np.testing.assert_allclose(embedding(signal), encoder.embed_utterance(signal.astype(np.float32)), atol=1e-5)


def test_distillmos_and_zimtohrli_are_those_of_the_packages(speech):
    need("distillmos")
    need("zimtohrli")
    import distillmos
    import zimtohrli

    estimate = with_noise(speech, 20)
    with weights.quiet(), torch.no_grad():
        model = distillmos.ConvTransformerSQAModel().eval()
        theirs = float(model(estimate))
    assert scored("distillmos", speech, estimate) == pytest.approx(theirs, abs=1e-5)
    pair = [codec.audio.resample(each, RATE, 48000)[0].numpy() for each in (speech, estimate)]
    assert scored("zimtohrli_mos", speech, estimate) == pytest.approx(zimtohrli.mos_from_signals(*pair), abs=1e-4)


@pytest.mark.slow
def test_the_lattice_mapper_is_that_of_the_package(speech):
    need("visqol_speech_lattice")
    import visqol

    estimate = with_noise(speech, 40)
    api = visqol.VisqolApi()
    api.create(mode="speech", use_lattice_model=True)
    direct = api.measure_from_arrays(speech[0].double().numpy(), estimate[0].double().numpy(), RATE).moslqo
    assert scored("visqol_speech_lattice", speech, estimate) == pytest.approx(direct, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in NEEDS if each != "plcmos"])
def test_less_noise_scores_better(speech, name):
    need(name)
    better = 1 if METRICS[name].higher_is_better else -1
    series = (50, 40, 30) if "lattice" in name else (40, 10, 0)  # the lattice is at its floor by 20 dB
    values = [better * scored(name, speech, with_noise(speech, snr_db)) for snr_db in series]
    if name != "dnsmos_sig":  # which is to hear the speech apart from weak noise
        assert values == sorted(values, reverse=True)
    assert values[2] < min(values[:2])


def test_fewer_lost_packets_score_better(speech):
    need("plcmos")
    values = [scored("plcmos", speech, with_gaps(speech, share) * 0.99) for share in (0, 0.1, 0.3)]
    assert values == sorted(values, reverse=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_odd_audio_has_a_score_in_range_or_a_reason(speech, name):
    need(name)
    music, rate = codec.audio.load(bundled_set("clips-48k").clips[0].path, frames=4 * 44100)
    noisy_music = with_noise(music, 30)
    assert music.shape[0] == 2
    low, high = METRICS[name].range
    for reference, estimate, at in (
        (speech[:, RATE : RATE + 1600], 0.9 * speech[:, RATE : RATE + 1600], RATE),
        (speech, 3 * speech / speech.abs().max(), RATE),
        (music, noisy_music, rate),
    ):
        try:
            value = scored(name, reference, estimate, at)
        except UndefinedError:  # which has the reason
            continue
        assert low <= value <= high
    with pytest.raises(UndefinedError, match="silent"):
        scored(name, speech, fakes.silence(speech, RATE))


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [("a b c", "a b c", 0), ("a b c", "a c", 1), ("a b c", "x a b c", 1), ("a b c", "a x c", 1), ("a b", "", 2),
     ("k i t t e n", "s i t t i n g", 3)],
)  # fmt: skip
def test_word_errors_by_hand(said, heard, errors):
    assert wer_module.edit_distance(said.split(), heard.split()) == errors


def test_the_error_rate_is_that_of_normalised_words():
    pytest.importorskip("whisper_normalizer")
    assert wer_module.error_rate("MISTER HALE'S TWENTY THREE COLOURS", "Mr. Hale's 23 colors!") == 0
    assert wer_module.error_rate("red green blue white", "red blue white") == pytest.approx(25)
    with pytest.raises(UndefinedError, match="no words"):
        wer_module.error_rate("", "a")


def test_a_clip_without_a_transcript_has_no_wer(monkeypatch):
    clip = Clip("a", "a.wav", RATE, 1, RATE)
    with pytest.raises(UndefinedError, match="no transcript of this clip"):
        told(METRICS["wer"], clip)
    monkeypatch.setattr(wer_module, "transcribe", lambda signal: "red, green")
    pytest.importorskip("whisper_normalizer")
    known = told(METRICS["wer"], Clip("a", "a.wav", RATE, 1, RATE, transcript="RED GREEN BLUE WHITE"))
    assert known.function(None, None, RATE) == pytest.approx(50)
    assert told(METRICS["dwer"], clip) is METRICS["dwer"]


class Recogniser:
    """Says the same again and again unless that is forbidden; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []

    def transcribe(self, signal, **options):
        self.asked.append(options)
        again = "no_repeat_ngram_size" not in options
        segment = types.SimpleNamespace(text=" go" * (40 if again else 2), compression_ratio=9.0 if again else 1.0)
        return iter([segment]), None


def test_a_recogniser_that_repeats_itself_is_asked_again_without_draws_and_within_what_can_be_said(monkeypatch):
    recogniser = Recogniser()
    monkeypatch.setattr(wer_module, "_recogniser", lambda: recogniser)
    noise = np.random.default_rng(5).normal(size=4 * RATE)
    assert wer_module.transcribe(noise) == " go go"
    assert [each["temperature"] for each in recogniser.asked] == [0.0, 0.0]
    assert [each["max_new_tokens"] for each in recogniser.asked] == [48, 48]
    assert recogniser.asked[1]["no_repeat_ngram_size"] == 3


def test_word_error_rates_bring_the_words_by_which_clips_weigh(monkeypatch):
    monkeypatch.setattr("encodec_eval.metrics.installed", lambda package: True)
    assert choose(["wer", "dwer"])[:4] == ["wer", "wer_words", "dwer", "dwer_words"]
    monkeypatch.setattr(wer_module, "transcribe", lambda signal: "red, green")
    pytest.importorskip("whisper_normalizer")
    clip = Clip("a", "a.wav", RATE, 1, RATE, transcript="RED GREEN TWENTY THREE")
    assert told(METRICS["wer_words"], clip).function(None, None, RATE) == 3
    assert METRICS["dwer_words"].function(np.zeros(9), None, RATE) == 2


@pytest.mark.slow
def test_the_recogniser_hears_what_was_said():
    need("wer")
    clip = bundled_set("librispeech-mini").clips[3]
    assert clip.transcript is not None
    assert clip.transcript.startswith("I DON'T THINK MISTER HALE")
    wav, rate = codec.audio.load(clip.path)
    assert measure(told(METRICS["wer"], clip), Pair(wav, rate, 0.9 * wav, rate)) <= 10


def test_a_run_records_the_hashes_of_the_weights_that_it_reads(tmp_path):
    clips = bundled_set("librispeech-mini")
    plain = Run(tmp_path, clips, Plan((Identity(),), ("si_snr",)), {}, [])
    assert "weights" not in plain.settings
    need("plcmos")
    settings = Run(tmp_path, clips, Plan((Identity(),), ("plcmos", "si_snr")), {}, []).settings
    (name,) = settings["weights"]
    assert name == "speechmos/plcmos_models/plcmos_v2.onnx"
    assert settings["weights"][name] == hashlib.sha256(weights.find(name).read_bytes()).hexdigest()
    assert {"speechmos", "onnxruntime"} <= settings["versions"].keys()
