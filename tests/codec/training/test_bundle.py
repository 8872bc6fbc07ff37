"""Bundling: the same codes and sound in half the bytes, louder if asked."""

import pytest
import torch
from safetensors.torch import load_file

from codec import EncodecConfig, EncodecModel
from codec.training.bundle import main

SMALL = EncodecConfig(num_filters=4, hidden_size=8, codebook_dim=8, codebook_size=16, num_lstm_layers=1)


@pytest.mark.parametrize("gain_db", [0.0, 6.0])
def test_a_bundled_model_is_the_model_in_float16(tmp_path, gain_db):
    torch.manual_seed(0)
    EncodecModel(SMALL).save_pretrained(tmp_path / "model")
    assert main([str(tmp_path / "model"), str(tmp_path / "out"), "--gain-db", str(gain_db)]) == 0
    stored = load_file(tmp_path / "out/model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert not any(key.endswith("embed_avg") for key in stored)
    wav = 0.1 * torch.randn(1, 1, 24_000)
    before, after = (EncodecModel.from_pretrained(tmp_path / name) for name in ("model", "out"))
    with torch.inference_mode():
        codes = before.encode(wav, bandwidth=6.0)
        ours, theirs = (each.decode(codes.audio_codes, codes.audio_scales).audio_values for each in (before, after))
    wanted = 10 ** (gain_db / 20) * ours
    assert (theirs - wanted).norm() < 0.01 * wanted.norm()


def test_a_gain_needs_a_last_layer_that_is_not_normalised(tmp_path, capsys):
    EncodecModel(EncodecConfig(**SMALL.to_dict() | {"norm_type": "time_group_norm"})).save_pretrained(
        tmp_path / "model"
    )
    assert main([str(tmp_path / "model"), str(tmp_path / "out"), "--gain-db", "1"]) == 2
    assert "time_group_norm" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
