"""`.ecdc` to `.ecdc` at a lower rate is the file that the codec makes of the audio at that rate."""

import io

import pytest
import torch

import codec
from codec import ecdc
from codec.__main__ import main
from codec.audio import load, resample, save
from encodec_eval.datasets import bundled_set
from tests.checkpoints import random_48khz

MODEL = "encodec_24khz_tiny"


@pytest.fixture(scope="module")
def model():
    return codec.load_model(MODEL)


@pytest.fixture(scope="module")
def speech():
    wav, rate = load(bundled_set("librispeech-mini").clips[8].path, frames=16000)
    return resample(wav, rate, 24000)


@pytest.mark.parametrize("lm", [False, True])
def test_it_is_compression_at_the_lower_rate_byte_for_byte(model, speech, lm):
    lm = codec.language_model_for(MODEL) if lm else None
    high = ecdc.compress(model, speech, 6.0, lm)
    for bandwidth in (6.0, 3.0, 1.5):
        assert ecdc.transcode(high, bandwidth) == ecdc.compress(model, speech, bandwidth, lm), bandwidth


def test_scales_of_segments_are_kept(tmp_path):
    model = codec.load_model(str(random_48khz(tmp_path)))
    wav = 0.1 * torch.randn(2, 55_000, generator=torch.Generator().manual_seed(0))
    high = ecdc.compress(model, wav, 12.0)
    assert ecdc.transcode(high, 3.0, model) == ecdc.compress(model, wav, 3.0)


def test_no_weights_are_read_where_none_are_needed(model, speech, monkeypatch):
    high = ecdc.compress(model, speech, 6.0)
    monkeypatch.setattr("codec.ecdc.models.load_model", None)
    assert len(ecdc.transcode(high, 3.0)) < len(high)


def test_what_cannot_be_is_said(model, speech):
    low = ecdc.compress(model, speech, 3.0)
    with pytest.raises(codec.EcdcError, match=r"6 kbps are 8 codebooks; the file has 4: expected a lower rate"):
        ecdc.transcode(low, 6.0)
    with pytest.raises(codec.EcdcError, match="bandwidth"):
        ecdc.transcode(low, 2.0)
    with pytest.raises(codec.EcdcError, match=r"not an \.ecdc file"):
        ecdc.transcode(b"something else", 3.0)


def test_the_command(model, speech, tmp_path, capsys):
    source, target = tmp_path / "in.ecdc", tmp_path / "out.ecdc"
    source.write_bytes(ecdc.compress(model, speech, 6.0))
    assert main(["transcode", "-b", "3", str(source), str(target)]) == 0
    assert target.read_bytes() == ecdc.compress(model, speech, 3.0)
    assert main(["transcode", "-b", "3", str(source), str(target)]) == 2
    assert "--force overwrites it" in capsys.readouterr().err
    wav = tmp_path / "clip.wav"
    save(wav, speech, 24000)
    assert main(["transcode", "-b", "3", str(wav), "-f", str(target)]) == 2
    assert ecdc.describe(io.BytesIO(target.read_bytes()))["codebooks"] == "4"
