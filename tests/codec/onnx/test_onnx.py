"""Exported graphs against the model they come from, streams against whole clips, and all of it without torch."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from codec import compress, decompress, load_model
from codec.errors import AudioError, CheckpointError, EcdcError
from codec.onnx import OnnxCodec, OnnxDecoderStream, OnnxEncoderStream
from tests import ROOT
from tests.checkpoints import random_48khz

LENGTHS = (1, 319, 320, 321, 2240, 5 * 24_000 + 37)
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy as np
from codec.onnx import OnnxCodec
codec = OnnxCodec(sys.argv[1])
wav = np.load(sys.argv[2])
data = codec.compress(wav, 6.0)
audio, rate = codec.decompress(data)
assert rate == 24_000 and audio.shape == wav.shape
assert not any(name.split(".")[0] in ("torch", "torchaudio") for name, module in sys.modules.items() if module)
open(sys.argv[3], "wb").write(data)
np.save(sys.argv[4], audio)
"""

pytestmark = pytest.mark.slow


def sound(channels, length, rate=24_000):
    """A chirp in noise, with silence at its end."""
    time = np.arange(length) / rate
    tone = 0.3 * np.sin(2 * np.pi * (200 * time + 300 * time**2)) * (time < 4.5)
    return (tone + 0.02 * np.random.default_rng(0).standard_normal((channels, length))).astype(np.float32)


def compare(model, codec, length):
    """Share of equal codes, and the largest difference of audio from equal codes."""
    wav = sound(model.config.audio_channels, length, model.config.sampling_rate)
    bandwidth = model.config.target_bandwidths[-1]
    theirs = model.encode(torch.from_numpy(wav)[None], bandwidth=bandwidth)
    ours = codec.encode(wav, bandwidth)
    frames = [segment.codes.shape[1] for segment in ours]
    codes = [theirs.audio_codes[n, 0, :, :count].numpy() for n, count in enumerate(frames)]
    equal = sum(int((segment.codes == expected).sum()) for segment, expected in zip(ours, codes, strict=True))
    scales = [None if scale is None else float(scale) for scale in theirs.audio_scales]
    audio = codec.decode([*map(type(ours[0]), codes, scales)], length)
    reference = model.decode(theirs.audio_codes, theirs.audio_scales, None, None, theirs.last_frame_pad_length)[0]
    return equal / sum(map(np.size, codes)), float(np.abs(audio - reference[0, :, :length].numpy()).max())


@pytest.mark.parametrize("length", LENGTHS)
def test_24khz_is_the_model(folder_24khz, length):
    equal, difference = compare(load_model("encodec_24khz_tiny"), OnnxCodec(folder_24khz), length)
    assert equal >= 0.995
    assert difference < 1e-5


@pytest.mark.parametrize("length", [1, 320, 48_000, 2 * 48_000 + 37])
def test_48khz_is_the_model(folder_48khz, length):
    equal, difference = compare(load_model("encodec_48khz_tiny"), OnnxCodec(folder_48khz), length)
    assert equal >= 0.995
    assert difference < 1e-5


@pytest.mark.parametrize("length", [1, 2, 700, 48_000, 50_037])
def test_group_norm_and_split_padding(tmp_path_factory, length):
    folder = tmp_path_factory.getbasetemp() / "random_48khz"
    if not (folder / "onnx" / "config.json").is_file():
        for package in ("onnxscript", "onnxruntime"):
            pytest.importorskip(package)
        from codec.onnx.export import export

        export(load_model(random_48khz(folder)), folder / "onnx")
    equal, difference = compare(load_model(folder), OnnxCodec(folder / "onnx"), length)
    assert equal >= 0.995
    assert difference < 1e-5


def test_bandwidths_are_beginnings_of_the_highest(folder_24khz):
    codec = OnnxCodec(folder_24khz)
    wav = sound(1, 4800)
    (every,) = codec.encode(wav, 24.0)
    for bandwidth, codebooks in ((1.5, 2), (6.0, 8)):
        (coded,) = codec.encode(wav, bandwidth)
        assert coded.codes.dtype == np.int32
        np.testing.assert_array_equal(coded.codes, every.codes[:codebooks])
        model = load_model("encodec_24khz_tiny")
        expected = model.decode_segment(torch.from_numpy(coded.codes).long()[None])
        # Of this chirp, a rounding grows to 1.3e-5 in the LSTM, which forgets slowly.
        np.testing.assert_allclose(codec.decode([coded]), expected[0].numpy(), atol=5e-5)


@pytest.mark.parametrize("hops", [[320], [2240, 320, 960], [100_000], [1, 319, 5000]])
def test_streams_are_the_whole_clip(folder_24khz, hops):
    codec = OnnxCodec(folder_24khz)
    wav = sound(1, 24_037)
    (whole,) = codec.encode(wav, 6.0)
    encoder, decoder = OnnxEncoderStream(codec, 6.0), OnnxDecoderStream(codec)
    codes, audio, start = [], [], 0
    while start < wav.shape[1]:
        hop = hops[len(codes) % len(hops)]
        codes.append(encoder.push(wav[:, start : start + hop]))
        start += hop
    codes.append(encoder.flush())
    joined = np.concatenate(codes, axis=1)
    assert joined.shape == whole.codes.shape
    assert (joined == whole.codes).mean() >= 0.995
    audio = [decoder.push(piece) for piece in codes]
    audio.append(decoder.flush())
    np.testing.assert_allclose(np.concatenate(audio, axis=1), codec.decode([(joined, None)]), atol=1e-5)


@pytest.mark.parametrize("length", [0, 1, 2239])
def test_streams_that_end_in_the_warm_up(folder_24khz, length):
    codec = OnnxCodec(folder_24khz)
    encoder = OnnxEncoderStream(codec, 6.0)
    wav = sound(1, length)
    assert encoder.push(wav).shape == (8, 0)
    codes = encoder.flush()
    assert codes.shape == (8, -(-length // 320))
    if length:
        np.testing.assert_array_equal(codes, codec.encode(wav, 6.0)[0].codes)
        decoder = OnnxDecoderStream(codec)
        audio = np.concatenate([decoder.push(codes), decoder.flush()], axis=1)
        np.testing.assert_allclose(audio, codec.decode([(codes, None)]), atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 319, 320, 321, 1000, 2239, 2240])
def test_a_clip_of_one_piece_is_a_whole_clip_to_the_graphs_of_streams(folder_24khz, length):
    codec = OnnxCodec(folder_24khz)
    wav, count = sound(1, length)[None], np.array([32])
    state = {part: codec.new_state(part) for part in ("encoder", "decoder")}
    (whole,) = codec.run("encoder", audio=wav, codebooks=count)
    codes = codec.run("encoder_stream", audio=wav, codebooks=count, state=state["encoder"])[0]
    np.testing.assert_array_equal(codes, whole)
    audio = codec.run("decoder_stream", codes=codes, state=state["decoder"])[0]
    np.testing.assert_allclose(audio, codec.run("decoder", codes=codes)[0], atol=1e-6)


def test_files_cross_to_the_model_and_back_without_torch(folder_24khz, tmp_path):
    wav = sound(1, 24_037)
    np.save(tmp_path / "wav.npy", wav)
    paths = [folder_24khz, tmp_path / "wav.npy", tmp_path / "a.ecdc", tmp_path / "audio.npy"]
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *map(str, paths)], check=True, cwd=ROOT)
    model = load_model("encodec_24khz_tiny")
    data = (tmp_path / "a.ecdc").read_bytes()
    audio, rate = decompress(data, model)
    assert rate == 24_000
    np.testing.assert_allclose(np.load(tmp_path / "audio.npy"), audio.numpy(), atol=1e-5)
    theirs = compress(model, torch.from_numpy(wav), 6.0)
    assert len(theirs) == len(data)
    np.testing.assert_allclose(OnnxCodec(folder_24khz).decompress(theirs)[0], decompress(theirs, model)[0], atol=1e-5)


def test_48khz_files(folder_48khz):
    codec, model = OnnxCodec(folder_48khz), load_model("encodec_48khz_tiny")
    data = codec.compress(sound(2, 100_000, 48_000), 6.0)
    np.testing.assert_allclose(codec.decompress(data)[0], decompress(data, model)[0].numpy(), atol=1e-5)


def test_errors_name_what_is_wrong(folder_24khz, folder_48khz, tmp_path):
    codec = OnnxCodec(folder_24khz)
    data = codec.compress(sound(1, 3200), 6.0)
    with pytest.raises(EcdcError, match="the file ends within the codes"):
        codec.decompress(data[:-1])
    with pytest.raises(EcdcError, match="bytes follow"):
        codec.decompress(data + b"\0")
    with pytest.raises(EcdcError, match="made with model 'encodec_24khz_tiny', not 'encodec_48khz_tiny'"):
        OnnxCodec(folder_48khz).decompress(data)
    with pytest.raises(AudioError, match=r"expected \[1, T\]"):
        codec.encode(sound(2, 100))
    with pytest.raises(ValueError, match="expected 0 to 1023"):
        codec.decode([(np.full((2, 3), 1024), None)])
    for stream in (OnnxEncoderStream, OnnxDecoderStream):
        with pytest.raises(CheckpointError, match="has no graphs for streams; expected an export with --stream"):
            stream(OnnxCodec(folder_48khz))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds no export"):
        OnnxCodec(tmp_path)


def test_the_command_exports_half_precision(tmp_path):
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    from codec.__main__ import main

    assert main(["export", "encodec_24khz_tiny", str(tmp_path), "--half", "--opset", "18"]) == 0
    about = json.loads((tmp_path / "config.json").read_text())["onnx"]
    assert (about["weights"], about["opset"], about["codes"]) == ("float16", 18, "int64")
    codec, model = OnnxCodec(tmp_path), load_model("encodec_24khz_tiny")
    wav = sound(1, 24_000)
    (coded,) = codec.encode(wav, 24.0)
    theirs = model.encode(torch.from_numpy(wav)[None], bandwidth=24.0).audio_codes[0, 0].numpy()
    equal = (coded.codes == theirs).mean()
    assert equal >= 0.99, f"{equal:.2%} of the codes are the model's"
    audio = codec.decode([coded], 24_000)
    expected = model(torch.from_numpy(wav)[None], bandwidth=24.0).audio_values[0].numpy()
    assert np.corrcoef(audio[0], expected[0])[0, 1] > 0.99
    assert sum(path.stat().st_size for path in tmp_path.glob("*.onnx")) < 24e6
