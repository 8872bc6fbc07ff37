"""EncodecConfig: transformers' defaults, derived numbers by hand, and errors that name the field."""

import dataclasses

import pytest
import transformers

from codec import EncodecConfig


def test_defaults_are_those_of_transformers():
    theirs = transformers.EncodecConfig()
    for field in dataclasses.fields(EncodecConfig):
        ours = getattr(EncodecConfig(), field.name)
        assert ours == getattr(theirs, field.name), field.name


@pytest.mark.parametrize(
    "values", [{}, {"sampling_rate": 48_000, "chunk_length_s": 1.0, "overlap": 0.01}, {"upsampling_ratios": (7, 3)}]
)
def test_derived_numbers_are_those_of_transformers(values):
    ours, theirs = EncodecConfig(**values), transformers.EncodecConfig(**values)
    for name in ("chunk_length", "chunk_stride", "hop_length", "frame_rate", "codebook_nbits", "num_quantizers"):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_codebooks_by_hand():
    config = EncodecConfig()  # 75 frames/s x 10 bits = 0.75 kbps a codebook
    assert [config.codebooks_for(kbps) for kbps in (None, 1.5, 3, 6, 12, 24)] == [2, 2, 4, 8, 16, 32]
    with pytest.raises(ValueError, match=r"bandwidth 7. Select one of \[1.5, 3.0"):
        config.codebooks_for(7)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target_bandwidths", ()),
        ("target_bandwidths", (0.1,)),
        ("sampling_rate", 0),
        ("audio_channels", 0),
        ("chunk_length_s", -1.0),
        ("overlap", 1.0),
        ("hidden_size", 0),
        ("num_filters", 2.5),
        ("num_residual_layers", -1),
        ("upsampling_ratios", ()),
        ("upsampling_ratios", (8, 0)),
        ("norm_type", "batch_norm"),
        ("kernel_size", 0),
        ("pad_mode", "mirror"),
        ("compress", 64),
        ("num_lstm_layers", 0),
        ("trim_right_ratio", 1.5),
        ("codebook_size", 1000),
        ("codebook_dim", 64),
    ],
)
def test_impossible_values_name_the_field(field, value):
    with pytest.raises(ValueError, match=f"EncodecConfig.{field} must be"):
        EncodecConfig(**{field: value})


def test_combinations_that_cannot_be():
    with pytest.raises(ValueError, match="trim_right_ratio must be 1 without use_causal_conv"):
        EncodecConfig(use_causal_conv=False, trim_right_ratio=0.5)
    with pytest.raises(ValueError, match="overlap must be one at which at most 128 segments share a sample"):
        EncodecConfig(chunk_length_s=1.0, overlap=0.9999)
