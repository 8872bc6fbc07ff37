"""What needs no exported graphs: `.ecdc` files in numpy, and what the export refuses."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from codec import EncodecConfig, EncodecModel, load_model
from codec.__main__ import main
from codec.errors import CheckpointError, EcdcError
from codec.onnx import OnnxCodec, files
from codec.onnx.export import export
from codec.streaming import EncoderStream

SEGMENTED = EncodecConfig(normalize=True, chunk_length_s=1.0, overlap=0.01)


@pytest.mark.parametrize(("config", "scales"), [(EncodecConfig(), [None]), (SEGMENTED, [0.5, 0.25, 0.125])])
def test_files_round_trip(config, scales):
    length = 60_000
    spans = list(config.segments(length))
    generator = np.random.default_rng(0)
    codes = [generator.integers(0, 1024, (3, config.frames(span.stop - span.start))) for span in spans]
    coded = list(zip(codes, scales, strict=True))
    data = files.write(config, "name", length, 3, coded)
    found_length, found = files.read(config, "name", data)
    assert found_length == length
    assert [scale for _, scale in found] == scales
    for (ours, _), expected in zip(found, codes, strict=True):
        np.testing.assert_array_equal(ours, expected)
    for wrong, message in (
        (data[:-1], "the file ends within the codes"),
        (data + b"\0", "bytes follow the last segment"),
        (data[:4] + b"\1" + data[5:], "the header"),
    ):
        with pytest.raises(EcdcError, match=message):
            files.read(config, "name", wrong)
    with pytest.raises(EcdcError, match="made with model 'name', not 'other'"):
        files.read(config, "other", data)
    with pytest.raises(EcdcError, match="claims 3 codebooks; the model has 2"):
        files.read(replace(config, target_bandwidths=(1.5,)), "name", data)


def test_bits_that_fill_the_last_byte_are_checked():
    data = files.write(EncodecConfig(), "name", 320, 1, [(np.array([[5]]), None)])
    with pytest.raises(EcdcError, match="not zero"):
        files.read(EncodecConfig(), "name", data[:-1] + b"\xff")


def test_a_folder_that_is_no_export_is_refused(tmp_path):
    EncodecConfig().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"holds no export; expected one by: python -m codec export"):
        OnnxCodec(tmp_path)


def test_the_command_refuses(tmp_path, capsys, monkeypatch):
    assert main(["export", "encodec_48khz_tiny", str(tmp_path), "--stream"]) == 2
    assert "it streams by its encoder.onnx already" in capsys.readouterr().err
    assert main(["export", "encodec_24khz_tiny", str(tmp_path), "--opset", "9"]) == 2
    assert "opset 9 given, expected 18 or more" in capsys.readouterr().err
    loud = EncodecModel(EncodecConfig(normalize=True, num_filters=2, hidden_size=16, codebook_dim=16))
    loud.save_pretrained(tmp_path / "loud")
    assert main(["export", str(tmp_path / "loud"), str(tmp_path), "--stream"]) == 2
    assert "(normalize): it cannot stream" in capsys.readouterr().err
    with pytest.raises(ValueError, match="only in segments can it stream"):
        EncoderStream(loud)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", "encodec_24khz_tiny", str(tmp_path)]) == 2
    assert "pip install 'encodec-tools[onnx]'" in capsys.readouterr().err


def test_other_paddings_are_refused(tmp_path):
    model = load_model("encodec_24khz_tiny")
    model.config.pad_mode = "constant"
    with pytest.raises(CheckpointError, match="expected 'reflect'"):
        export(model, tmp_path)
