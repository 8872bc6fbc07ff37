"""EncodecFeatureExtractor gives what transformers' gives: outputs, masks, warnings and errors."""

import logging

import numpy as np
import pytest
import torch
import transformers

from codec import CheckpointError, EncodecFeatureExtractor

RATE = 24_000
MONO = {"feature_size": 1}
STEREO = {"feature_size": 2, "sampling_rate": 48_000}
CHUNKED = {**STEREO, "chunk_length_s": 1.0, "overlap": 0.01}


def clips(channels: int, *lengths: int, dtype=np.float32):
    shape = () if channels == 1 else (channels,)
    return [np.random.default_rng(n).standard_normal((*shape, n)).astype(dtype) for n in lengths]


CASES = [
    (MONO, clips(1, 1000)[0], {}),
    (MONO, clips(1, 1000, dtype=np.float64)[0], {}),
    (MONO, clips(1, 1000)[0].tolist(), {}),
    (MONO, clips(1, 1000, 20, 333), {}),
    (MONO, clips(1, 1000, 20, 333), {"padding": "longest"}),
    (MONO, clips(1, 1000, 20, 333), {"padding": "max_length", "max_length": 1200}),
    (MONO, clips(1, 1000, 20, 333), {"padding": False, "truncation": True, "max_length": 20}),
    (MONO, clips(1, 1000, 1000), {"padding": False}),
    ({**MONO, "padding_value": 0.5}, clips(1, 7, 5), {}),
    (STEREO, clips(2, 1000)[0], {}),
    (STEREO, clips(2, 1000, 20), {}),
    (CHUNKED, clips(2, 47_520)[0], {}),
    (CHUNKED, clips(2, 47_521, 100_000, 1), {}),
    (CHUNKED, clips(2, 100_000, 143_000), {"truncation": True, "padding": False}),
    (CHUNKED, clips(2, 100, 200), {"padding": "max_length", "max_length": 300}),
]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("tensors", ["pt", "np", None])
def test_same_outputs_as_transformers(case, tensors):
    settings, audio, options = CASES[case]
    ours = EncodecFeatureExtractor(**settings)
    theirs = transformers.EncodecFeatureExtractor(**settings)
    options = {**options, "return_tensors": tensors, "sampling_rate": ours.sampling_rate}
    got, expected = ours(audio, **options), theirs(audio, **options)
    assert set(got.keys()) == set(expected.keys())
    for name in expected:
        assert type(got[name]) is type(expected[name])
        assert np.array_equal(np.asarray(got[name]), np.asarray(expected[name]))
        assert np.asarray(got[name]).dtype == np.asarray(expected[name]).dtype


@pytest.mark.parametrize(
    ("settings", "audio", "options", "message"),
    [
        (MONO, clips(1, 9)[0], {"sampling_rate": 16_000}, "24000 and not 16000"),
        (MONO, clips(1, 9)[0], {"padding": True, "truncation": True}, "Both padding and truncation"),
        (MONO, clips(2, 9)[0], {}, "Expected mono audio but example has 2 channels"),
        (STEREO, clips(3, 9)[0], {}, "Expected stereo audio but example has 3 channels"),
        (STEREO, np.zeros((2, 2, 9), np.float32), {}, "Expected input shape"),
        (MONO, clips(1, 9, 8), {"padding": False, "return_tensors": "pt"}, "padding=True"),
        (MONO, clips(1, 9), {"padding": "max_length"}, "max_length is defined"),
        (MONO, clips(1, 9), {"truncation": True}, "max_length"),
    ],
)
def test_same_errors_as_transformers(settings, audio, options, message):
    for extractor in (EncodecFeatureExtractor(**settings), transformers.EncodecFeatureExtractor(**settings)):
        with pytest.raises(ValueError, match=message):
            extractor(audio, **{"sampling_rate": extractor.sampling_rate, **options})


def test_nothing_to_batch_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        EncodecFeatureExtractor()([], sampling_rate=RATE)
    with pytest.raises(ValueError, match="padding must be"):
        EncodecFeatureExtractor()(clips(1, 5), padding="shortest", sampling_rate=RATE)


def test_missing_rate_warns(caplog):
    with caplog.at_level(logging.WARNING):
        EncodecFeatureExtractor()(clips(1, 5)[0])
    assert "strongly recommended to pass the `sampling_rate`" in caplog.text


def test_preprocessor_config_is_read_and_written_as_transformers_does(tmp_path):
    EncodecFeatureExtractor(**CHUNKED, padding_value=0.25).save_pretrained(tmp_path / "ours")
    theirs = transformers.EncodecFeatureExtractor.from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    back = EncodecFeatureExtractor.from_pretrained(tmp_path / "theirs")
    assert back.to_dict() == EncodecFeatureExtractor(**CHUNKED, padding_value=0.25).to_dict()
    assert (theirs.chunk_length, theirs.chunk_stride) == (back.chunk_length, back.chunk_stride) == (48_000, 47_520)


def test_damaged_preprocessor_config(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot read"):
        EncodecFeatureExtractor.from_pretrained(tmp_path)


def test_batch_feature_moves_tensors():
    features = EncodecFeatureExtractor()(clips(1, 9, 5), sampling_rate=RATE, return_tensors="pt")
    moved = features.to(torch.float64)
    assert moved.input_values.dtype == torch.float64
    assert moved["padding_mask"].dtype == torch.int32
    with pytest.raises(AttributeError):
        _ = features.nothing
