"""Training of the language model, from a folder of audio to a file that codes."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

import codec
from codec.training import language_model as training
from tests import ROOT

RECORDINGS = ROOT / "encodec_eval/data/librispeech-mini"
SIZES = replace(training.SIZES, dim=32, heads=4, layers=1, feed_forward=64)


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    """Recordings of at least four seconds."""
    folder = tmp_path_factory.mktemp("audio")
    long = [path for path in sorted(RECORDINGS.rglob("*.flac")) if codec.audio.info(path).duration_s > 4.1]
    for path in long[:7]:
        os.symlink(path, folder / path.name)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(training, "SIZES", SIZES)
    monkeypatch.setattr(training, "SAVE_EVERY", 5)
    monkeypatch.setattr(training, "HELD_OUT", 3)


def test_from_audio_through_a_resumed_run_to_a_file_that_codes(audio, tmp_path, caplog):
    caplog.set_level("INFO")
    out = tmp_path / "language_model.safetensors"
    arguments = [str(audio), "--work", str(tmp_path / "work"), "--out", str(out), "--threads", "1"]
    assert training.main([*arguments, "--steps", "10"]) == 0
    first = codec.LanguageModel.load(out)
    caplog.clear()
    assert training.main([*arguments, "--steps", "10"]) == 0
    assert any("resumed at step" in message for message in caplog.messages)
    assert not any("frames" in message for message in caplog.messages), "codes were extracted again"
    assert codec.LanguageModel.load(out).sha256 == first.sha256
    model = codec.load_model("encodec_24khz_tiny")
    assert first.codec_sha256 == model.checkpoint_sha256
    wav = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(0)) / 10
    data = codec.compress(model, wav, 1.5, first)
    plain = codec.decompress(codec.compress(model, wav, 1.5), model)[0]
    assert torch.equal(codec.decompress(data, model, first)[0], plain)


def test_it_learns_that_codes_repeat(tmp_path):
    torch.manual_seed(0)
    sizes = replace(SIZES, codebooks=2)
    pieces = [torch.randint(16, (2, training.LEAST_FRAMES // 10)).repeat_interleave(10, dim=1) for _ in range(10)]
    codes, held_out = [piece.numpy() for piece in pieces[:8]], pieces[8:]
    lm = training.new_model(codes, sizes, "lm", "")
    (start,) = training.bits(lm, held_out)
    training.LanguageModelTrainer(lm, tmp_path / "state.pt").run(codes, held_out, 150)
    (end,) = training.bits(lm, held_out)
    # One of 16 values takes 4 bits; with one frame in ten that does not repeat, a model that knows so takes 0.9.
    assert end < 3 < start


def test_matrices_stay_within_what_the_exact_coder_can_hold(tmp_path):
    pieces = [torch.randint(1024, (32, training.LEAST_FRAMES)).numpy()] * 2
    lm = training.new_model(pieces, SIZES, "lm", "")
    with torch.no_grad():
        lm.transformer.layers[0].linear2.weight.mul_(1000)
    trainer = training.LanguageModelTrainer(lm, tmp_path / "state.pt")
    trainer._step(pieces, 10)
    for matrix in trainer.matrices:
        assert float(matrix.detach().norm(dim=1).pow(2).mean().sqrt()) <= training.MOST_ROW * 1.001


def test_a_trained_model_is_a_start():
    torch.manual_seed(0)
    pieces = [torch.randint(1024, (32, 50)) for _ in range(2)]
    lm, trained = (training.new_model([piece.numpy() for piece in pieces], SIZES, "lm", "") for _ in range(2))
    training.start_from(lm, trained, pieces)
    assert torch.equal(lm.transformer.layers[0].linear1.weight, trained.transformer.layers[0].linear1.weight)
    better = training.new_model([piece.numpy() for piece in pieces * 20], SIZES, "lm", "")
    training.start_from(lm, better, pieces)
    assert torch.equal(lm.head(3).bias, better.head(3).bias)
    for other in (replace(SIZES, dim=64), replace(SIZES, layers=2)):
        with pytest.raises(codec.CheckpointError, match="has sizes"):
            training.start_from(lm, codec.LanguageModel(other), pieces)


def test_a_model_of_fewer_layers_is_a_start_that_the_new_layers_hardly_change():
    torch.manual_seed(0)
    pieces = [torch.randint(1024, (32, 50)) for _ in range(2)]
    trained = training.new_model([piece.numpy() for piece in pieces * 20], SIZES, "lm", "")
    lm = training.new_model([piece.numpy() for piece in pieces], replace(SIZES, layers=2), "lm", "")
    training.start_from(lm, trained, pieces)
    assert torch.equal(lm.head(3).bias, trained.head(3).bias)
    assert training.bits(lm, pieces) == pytest.approx(training.bits(trained, pieces), abs=1e-3)


def test_codes_are_the_same_wherever_the_audio_lies_and_each_version_has_its_own(audio, tmp_path):
    model = codec.load_model("encodec_24khz_tiny")
    one = next(audio.iterdir())
    written = []
    for name in "ab":
        folder = tmp_path / name / "audio"
        folder.mkdir(parents=True)
        os.symlink(one.resolve(), folder / one.name)
        written.append(training.extract(model, [folder], tmp_path / name / "codes", versions=2))
    assert [path.name for path in written[0]] == [path.name for path in written[1]]
    assert [path.read_bytes() for path in written[0]] == [path.read_bytes() for path in written[1]]
    first, second = (np.load(path) for path in written[0])
    assert first.shape != second.shape or (first != second).any()


def test_what_is_reported_is_of_the_validation_folder(audio, tmp_path, caplog):
    """Here it is the data themselves, of which even a short run learns."""
    caplog.set_level("INFO")
    one = tmp_path / "audio" / "one.flac"
    one.parent.mkdir()
    os.symlink(next(audio.iterdir()).resolve(), one)
    arguments = [str(one.parent), "--validation", str(one.parent), "--work", str(tmp_path / "work")]
    assert training.main([*arguments, "--out", str(tmp_path / "lm.safetensors"), "--steps", "40"]) == 0
    assert any(message.startswith("1 pieces; start") for message in caplog.messages)
    reports = [message.rsplit("bits per code ", 1)[1] for message in caplog.messages if "bits per code" in message]
    start, end = ([float(part.split()[0]) for part in reports[i].split(", ")] for i in (0, -1))
    assert all(after < before - 0.1 for after, before in zip(end, start, strict=True)), (start, end)


def test_a_state_of_other_sizes_is_refused(tmp_path):
    lm = codec.LanguageModel(SIZES)
    training.LanguageModelTrainer(lm, tmp_path / "state.pt")._save()
    with pytest.raises(codec.CheckpointError, match=r"state\.pt is of a language model of other sizes"):
        training.LanguageModelTrainer(codec.LanguageModel(replace(SIZES, layers=2)), tmp_path / "state.pt")


def test_bad_input_is_one_line(tmp_path, capsys):
    assert training.main([str(tmp_path), "--work", str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == (
        "codec.training.language_model: 0 pieces of audio above 4 s; expected 4, or 1 and with "
        "--validation a folder with another\n"
    )
