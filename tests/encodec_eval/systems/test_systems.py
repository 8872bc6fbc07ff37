"""Systems under test: what comes out, and the bytes that are counted."""

import argparse
import sys
from unittest import mock

import numpy as np
import pytest
import scipy.signal
import soundfile as sf
import torch

import codec
import codec.audio
from codec.ecdc import compress, compress_codes
from encodec_eval import systems
from encodec_eval.datasets import bundled_set
from encodec_eval.run.pairing import find_lag
from encodec_eval.systems import DecodedFolder, Encodec, Identity, Lowpass, Mp3, Opus, lowpass
from encodec_eval.systems.encodec import load_encodec
from encodec_eval.systems.folder import content_sha256
from encodec_eval.systems.shared import payload_bytes
from encodec_eval.types import Clip, EvalError
from tests.checkpoints import random_48khz

MODEL = "encodec_24khz_tiny"


@pytest.fixture(scope="module")
def speech():
    clip = bundled_set("librispeech-mini").clips[8]
    wav, rate = codec.audio.load(clip.path, frames=2 * clip.sample_rate)
    return wav, rate


def test_encodec_at_every_bandwidth_equals_the_model_at_each(speech):
    wav, rate = speech
    system = Encodec(MODEL)
    outputs = system.process(wav, rate, system.points)
    assert [output.point.nominal_kbps for output in outputs] == [1.5, 3, 6, 12, 24]
    model = codec.load_model(MODEL)
    x = codec.audio.resample(wav, rate, 24000)[None]
    for output in outputs:
        with torch.inference_mode():
            encoded = model.encode(x, bandwidth=output.point.nominal_kbps)
            decoded = model.decode(encoded.audio_codes, encoded.audio_scales).audio_values[0, :, : x.shape[-1]]
        assert torch.equal(output.codes, encoded.audio_codes[:, 0])
        torch.testing.assert_close(output.audio, decoded, atol=1e-5, rtol=0)
        frames = encoded.audio_codes.shape[-1]
        assert output.payload_bytes == -(-encoded.audio_codes.shape[2] * frames * 10 // 8)


def test_the_files_counted_are_those_that_the_codec_writes(speech):
    wav, rate = speech
    system = Encodec(MODEL, (3.0,), lm=True)
    (output,) = system.process(wav, rate, system.points)
    model, lm = system.loaded, system.language_model
    x = codec.audio.resample(wav, rate, 24000)
    assert output.file_bytes == len(compress(model, x, 3.0))
    coded = compress(model, x, 3.0, lm=lm)
    assert output.entropy_bytes == len(coded)
    assert compress_codes(model, output.codes, None, x.shape[-1], lm=lm) == coded
    assert system.describe()["language_model_sha256"] == lm.sha256


def test_payload_by_hand():
    # Two segments of 3 and 2 frames, 4 codebooks of 10 bits: 120 and 80 bits are 15 and 10 bytes, scales 4 each.
    codes = torch.zeros(2, 4, 3, dtype=torch.int64)
    assert payload_bytes(codes, 1, 1024, scaled=True) == 15 + 10 + 8
    assert payload_bytes(codes, 0, 1000, scaled=False) == 30


def test_encodec_refuses_a_bandwidth_it_has_not():
    with pytest.raises(EvalError, match=r"no bandwidth 7 kbps; expected 1.5, 3, 6, 12, 24"):
        Encodec(MODEL, (7.0,))


def test_opus_and_mp3_keep_the_clip_and_their_rates(speech):
    wav, rate = speech
    for system, tolerance in ((Opus((8, 24)), 0.35), (Mp3((32, 64)), 0.25)):
        low, high = system.process(wav, rate, system.points)
        for output in (low, high):
            kbps = 8 * output.payload_bytes / 2000
            assert kbps == pytest.approx(output.point.nominal_kbps, rel=tolerance)
            assert output.file_bytes >= output.payload_bytes
            assert output.audio.shape[0] == 1
            assert 0 <= output.audio.shape[1] / output.sample_rate - 2 < 0.25
        assert low.payload_bytes < high.payload_bytes


@pytest.mark.parametrize(("rate", "kbps"), [(16000, 32), (24000, 32), (48000, 48), (16000, 64)])
def test_mp3_is_in_time_at_rates_where_its_header_tells_no_delay(speech, rate, kbps):
    wav = codec.audio.resample(speech[0], speech[1], rate)
    system = Mp3((kbps,))
    (output,) = system.process(wav, rate, system.points)
    assert output.audio.shape == wav.shape
    assert find_lag(wav[0], output.audio[0], rate // 10) == 0


def test_classical_codecs_refuse_rates_they_have_not(speech):
    for system in (Opus((5,)), Mp3((200,))):
        with pytest.raises(EvalError, match="expected"):
            system.process(*speech, system.points)


def test_the_low_pass_masks_of_the_anchors():
    impulse = torch.zeros(1, 48000)
    impulse[0, 24000] = 1
    for cutoff in (3500, 7000):
        response = lowpass(impulse, 48000, cutoff)[0].double().numpy()
        assert np.argmax(np.abs(response)) == 24000, "the delay is not removed"
        _, h = scipy.signal.freqz(
            response[23000:25001], worN=[*range(50, cutoff, 50), cutoff + 500, cutoff + 1000], fs=48000
        )
        level_db = 20 * np.log10(np.abs(h))
        assert np.abs(level_db[:-2]).max() < 0.1
        assert level_db[-2] < -25
        assert level_db[-1] < -50


def test_the_low_pass_needs_room_under_half_the_rate(speech):
    system = Lowpass()
    with pytest.raises(EvalError, match="needs a rate above 15000 Hz, not 8000"):
        system.process(speech[0], 8000, system.points[1:])


def test_identity_is_the_clip(speech):
    (output,) = Identity().process(*speech, Identity().points)
    assert torch.equal(output.audio, speech[0])


def test_a_folder_of_decoded_files(tmp_path):
    for name in ("a/one.wav", "b/two.flac"):
        (tmp_path / "out" / name).parent.mkdir(parents=True)
        sf.write(tmp_path / "out" / name, np.full(160, 0.5), 16000)
    (tmp_path / "coded").mkdir()
    (tmp_path / "coded/two.evs").write_bytes(b"12345")
    system = DecodedFolder("evs@9.6", str(tmp_path / "out"), compressed=str(tmp_path / "coded"))
    assert system.points[0].series == "evs"
    clip = Clip("deep/two", "two.wav", 16000, 1, 160)
    (output,) = system.process(torch.zeros(1, 160), 16000, system.points, clip)
    assert (output.audio.shape, output.file_bytes) == ((1, 160), 5)
    before = system.describe()
    assert before == DecodedFolder(system.name, system.folder, compressed=system.compressed).describe()
    content_sha256.cache_clear()
    sf.write(tmp_path / "out/b/two.flac", np.full(160, 0.25), 16000)
    assert system.describe() != before, "audio that was decoded anew would be mixed with the old"
    with pytest.raises(EvalError, match="0 files for clip three"):
        system.process(torch.zeros(1, 160), 16000, system.points, Clip("three", "", 16000, 1, 160))
    with pytest.raises(EvalError, match="is not a folder"):
        DecodedFolder("x", str(tmp_path / "missing"))


def test_a_new_system_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "half.py").write_text(
        """
from encodec_eval.types import Output, Point

class Half:
    kind = "half"

    def __init__(self, gain):
        self.points = [Point("half", "half")]
        self.gain = gain

    @staticmethod
    def add_options(parser):
        parser.add_argument("--half-gain", type=float, default=0.5)

    @classmethod
    def build(cls, name, options, clips):
        return [cls(options.half_gain)]

    def describe(self):
        return {"system": "half", "gain": self.gain}

    def process(self, wav, sample_rate, points, clip=None):
        return [Output(point, self.gain * wav, sample_rate) for point in points]

SYSTEMS = [Half]
"""
    )
    monkeypatch.setattr(systems, "__path__", [*systems.__path__, str(tmp_path)])
    monkeypatch.setattr(systems, "KINDS", systems._collect())
    parser = argparse.ArgumentParser()
    systems.add_options(parser)
    (half,) = systems.build(parser.parse_args(["--systems", "half", "--half-gain", "0.25"]), [])
    assert half.describe() == {"system": "half", "gain": 0.25}
    sys.modules.pop("encodec_eval.systems.half")


@pytest.mark.parametrize("names", [["winamp"], ["hf:"], [""], []])
def test_systems_that_are_none_are_refused(names):
    parser = argparse.ArgumentParser()
    systems.add_options(parser)
    with pytest.raises(EvalError, match=r"no system .*; expected .*opus.*hf:NAME, MODULE:CLASS, .*or --system"):
        systems.build(parser.parse_args(["--systems", *names]), [])


def test_no_weights_are_loaded_before_audio_is_processed(speech):
    load_encodec.cache_clear()
    with mock.patch("codec.load_model", side_effect=AssertionError("weights were loaded")):
        system = Encodec(MODEL)
        assert [point.nominal_kbps for point in system.points] == [1.5, 3, 6, 12, 24]
        description = system.describe()
    assert description["checkpoint_sha256"] == system.loaded.checkpoint_sha256
    assert description["model"] == system.loaded.name
    assert [point.nominal_kbps for point in system.lowest(2).points] == [1.5, 3]


def test_an_output_carries_the_scales_of_its_codes(tmp_path):
    system = Encodec(str(random_48khz(tmp_path)), (6.0,))
    wav = 0.1 * torch.randn(2, 60_000, generator=torch.Generator().manual_seed(0))
    (output,) = system.process(wav, 48_000, system.points)
    assert len(output.scales) == len(output.codes) == 2
    assert compress_codes(system.loaded, output.codes, output.scales, 60_000) == output.coded
