"""Tokenizers of transformers, as tiny models with random weights."""

import pytest
import torch
import transformers

from encodec_eval.systems import Tokenizer
from encodec_eval.types import EvalError

WAV = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)) * 0.1


def tiny_models():
    dac = transformers.DacConfig(
        encoder_hidden_size=8, downsampling_ratios=[2, 4], decoder_hidden_size=16, upsampling_ratios=[4, 2],
        n_codebooks=4, codebook_size=16, codebook_dim=4, hidden_size=32, sampling_rate=16000,
    )  # fmt: skip
    mimi = transformers.MimiConfig(
        hidden_size=16, num_filters=4, upsampling_ratios=[4, 2], codebook_size=16, codebook_dim=8, num_quantizers=4,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=8, intermediate_size=16,
        vector_quantization_hidden_dimension=8, upsample_groups=16, frame_rate=1000,
    )  # fmt: skip
    encodec = transformers.EncodecConfig(
        hidden_size=16, codebook_dim=16, num_filters=4, upsampling_ratios=[4, 2], codebook_size=16, num_lstm_layers=1,
        target_bandwidths=[12.0, 48.0],
    )  # fmt: skip
    return {
        "dac": (transformers.DacModel, dac),
        "mimi": (transformers.MimiModel, mimi),
        "encodec": (transformers.EncodecModel, encodec),
    }


@pytest.mark.parametrize("family", ["dac", "mimi", "encodec"])
def test_a_tokenizer_is_a_system(family, tmp_path):
    torch.manual_seed(0)
    architecture, config = tiny_models()[family]
    architecture(config).eval().save_pretrained(tmp_path)
    system = Tokenizer(str(tmp_path))
    points = system.points
    assert len(points) >= 3
    outputs = system.process(WAV, 16000, points)
    rate = system.model.config.sampling_rate
    for point, output in zip(points, outputs, strict=True):
        assert output.sample_rate == rate
        assert output.audio.shape == (1, WAV.shape[-1] * rate // 16000)
        assert torch.isfinite(output.audio).all()
        assert 8 * output.payload_bytes / 0.5 / 1000 == pytest.approx(point.nominal_kbps, rel=0.05)
    assert system.describe()["checkpoint_sha256"]
    counts = [output.codes.shape[1] for output in outputs]
    assert counts == sorted(counts)
    assert torch.equal(outputs[0].codes, outputs[-1].codes[:, : counts[0]])


def test_what_is_no_tokenizer_is_refused(tmp_path):
    with pytest.raises(EvalError, match="no tokenizer"):
        Tokenizer(str(tmp_path)).points  # noqa: B018
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=8
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(EvalError, match="BertModel, which has no encode and decode"):
        Tokenizer(str(tmp_path)).points  # noqa: B018
