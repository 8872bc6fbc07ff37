"""EncodecModel: batches of mixed lengths, outputs, the documented examples, bad input. Parity is in test_parity.py."""

import numpy as np
import pytest
import torch

from codec import AutoProcessor, EncodecConfig, EncodecModel, audio
from codec.batching import overlap_add
from tests.oracles import assert_same_codes, noise

SMALL = {"num_filters": 4, "hidden_size": 8, "codebook_size": 16, "target_bandwidths": (0.6, 1.2)}
SMALL_48KHZ = {
    **SMALL,
    "sampling_rate": 4_800,
    "upsampling_ratios": (4, 4, 2),
    "target_bandwidths": (1.2, 2.4),
    "audio_channels": 2,
    "normalize": True,
    "chunk_length_s": 1.0,
    "overlap": 0.01,
    "norm_type": "time_group_norm",
    "use_causal_conv": False,
}
SPEECH = "encodec_eval/data/librispeech-mini/test-other/1688/142285/1688-142285-0001.flac"


def small_model(**config) -> EncodecModel:
    torch.manual_seed(0)
    return EncodecModel(EncodecConfig(**config)).double().eval().requires_grad_(False)


@pytest.mark.parametrize("config", [SMALL, SMALL_48KHZ], ids=["24khz", "48khz"])
def test_batch_equals_single_for_mixed_lengths(config):
    model = small_model(**config)
    lengths = [1, 319, 320, 321, 4_752, 4_753, 4_800, 4_801, 2 * 4_752 + 7, 12_345, 12_345]
    x = torch.zeros(len(lengths), model.config.audio_channels, max(lengths), dtype=torch.float64)
    mask = torch.zeros(len(lengths), max(lengths), dtype=torch.int32)
    for item, length in enumerate(lengths):
        x[item, :, :length] = noise(model.config.audio_channels, length, seed=item)
        x[item, :, length:] = 9.0  # whatever stands in the padding must not matter
        mask[item, :length] = 1
    batch = model.encode(x, mask, bandwidth=model.config.target_bandwidths[-1])
    decoded = model.decode(**batch, padding_mask=mask).audio_values
    assert decoded.shape == x.shape
    for item, length in enumerate(lengths):
        single = model.encode(x[item : item + 1, :, :length], bandwidth=model.config.target_bandwidths[-1])
        segments, _, _, frames = single.audio_codes.shape
        assert_same_codes(batch.audio_codes[:segments, item : item + 1, :, :frames], single.audio_codes)
        if config is SMALL_48KHZ:
            scales = torch.stack(batch.audio_scales)[:segments, item]
            assert torch.allclose(scales, torch.stack(single.audio_scales)[:, 0], atol=0, rtol=1e-12)
        alone = model.decode(**single, padding_mask=mask[item : item + 1, :length])[0][0]
        assert (decoded[item, :, :length] - alone).abs().max() < 1e-12
        assert not decoded[item, :, length:].any()


def test_the_documented_example_runs_with_only_the_import_changed():
    wav, rate = audio.load(SPEECH)
    model = EncodecModel.from_pretrained("encodec_24khz_tiny")
    processor = AutoProcessor.from_pretrained("encodec_24khz_tiny")
    audio_sample = audio.resample(wav, rate, processor.sampling_rate)[0].numpy()
    inputs = processor(raw_audio=audio_sample, sampling_rate=processor.sampling_rate, return_tensors="pt")

    encoder_outputs = model.encode(inputs["input_values"], inputs["padding_mask"])
    audio_values = model.decode(**encoder_outputs, padding_mask=inputs["padding_mask"])[0]
    older = model.decode(encoder_outputs.audio_codes, encoder_outputs.audio_scales, inputs["padding_mask"])[0]
    whole = model(inputs["input_values"], inputs["padding_mask"])
    unpacked = model(**inputs)

    assert audio_values.shape == inputs["input_values"].shape
    assert torch.equal(audio_values, older)
    assert torch.equal(audio_values, whole.audio_values)
    assert torch.equal(unpacked.audio_codes, encoder_outputs.audio_codes)
    assert encoder_outputs.audio_codes.shape == (1, 1, 2, -(-len(audio_sample) // 320)), "None is the lowest bandwidth"


def test_lower_bandwidths_are_the_first_codebooks():
    model = small_model(**SMALL)
    x = noise(1, 1, 4_000)
    low, high = (model.encode(x, bandwidth=kbps).audio_codes for kbps in SMALL["target_bandwidths"])
    assert_same_codes(low, high[:, :, : low.shape[2]])


def test_outputs_unpack_by_name_key_and_position():
    model = small_model(**SMALL)
    x = noise(1, 1, 700)
    output = model.encode(x)
    codes, scales, pad = output
    assert output["audio_codes"] is codes is output[0]
    assert (scales, pad, len(output)) == ([None], 0, 3)
    as_tuple = model.encode(x, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[0], codes)
    assert isinstance(model.decode(codes, scales, return_dict=False), tuple)
    assert [v.shape for v in model(x, return_dict=False)] == [codes.shape, x.shape]


def test_nothing_of_a_run_stays_on_the_model():
    model = small_model(**SMALL)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    attributes = set(vars(model))
    model(noise(2, 1, 1_000), bandwidth=1.2)
    assert set(vars(model)) == attributes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_gradients_flow_when_asked_for():
    model = small_model(**SMALL).requires_grad_()
    latents = model.encoder(noise(1, 1, 1_000))
    model.decoder(latents).pow(2).mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_bfloat16_runs():
    model = EncodecModel.from_pretrained("encodec_24khz_tiny", dtype=torch.bfloat16)
    output = model(noise(1, 1, 4_800, dtype=torch.bfloat16), bandwidth=6.0)
    assert output.audio_values.dtype == torch.bfloat16
    assert bool(output.audio_values.isfinite().all())


@pytest.mark.parametrize("level", [0.0, 1.0, 1e-6], ids=["silence", "full scale", "tiny"])
@pytest.mark.parametrize("config", [SMALL, SMALL_48KHZ], ids=["24khz", "48khz"])
def test_extreme_levels_stay_finite(config, level):
    model = small_model(**config)
    x = level * torch.ones(1, model.config.audio_channels, 6_000, dtype=torch.float64)
    assert bool(model(x).audio_values.isfinite().all())


def test_bad_input_is_named():
    model, stereo = small_model(**SMALL), small_model(**SMALL_48KHZ)
    x = noise(2, 1, 100)
    codes, scales, _ = model.encode(x)
    for call, message in [
        (lambda: model.encode(x[0]), r"\[B, C, T\]"),
        (lambda: model.encode(x[..., :0]), "none of them 0"),
        (lambda: model.encode(x.expand(2, 3, 100)), "must be 1 or 2, but got 3"),
        (lambda: model.encode(x.expand(2, 2, 100)), "takes 1 audio channels, but got 2"),
        (lambda: stereo.encode(x), "takes 2 audio channels, but got 1"),
        (lambda: model.encode(x, bandwidth=7), "doesn't support the bandwidth 7"),
        (lambda: model.encode(x, torch.ones(2, 99)), "99 samples"),
        (lambda: model.encode(x, torch.ones(3, 100)), r"\[2, T\]"),
        (lambda: model.encode(x, torch.zeros(2, 100)), "item 0"),
        (lambda: model.encode(x, torch.arange(100).expand(2, -1)), "must begin with its audio"),
        (lambda: model.decode(codes[0], scales), r"\[N, B, K, F\]"),
        (lambda: model.decode(codes.repeat(2, 1, 1, 1), scales * 2), "Expected one frame, got 2"),
        (lambda: model.decode(codes, []), "0 audio_scales given for 1"),
        (lambda: model.decode(codes, scales, last_frame_pad_length=1), "last_frame_pad_length"),
        (lambda: model.decode(codes + 99, scales), "expected 0 to 15"),
        (lambda: model.decode(codes.repeat(1, 1, 9, 1), scales), "1 to "),
        (lambda: model(x, audio_codes=codes), "did not specify the `audio_scales`"),
        (lambda: model(x, audio_scales=scales), "did not specify the `audio_codes`"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_overlap_add_by_hand():
    # Two segments of 4 at stride 3 share one sample: weights there are the last and first of the triangle, equal.
    first, second = torch.tensor([[[1.0, 1.0, 1.0, 1.0]]]), torch.tensor([[[3.0, 3.0, 3.0, 3.0]]])
    assert overlap_add([first, second], 3).tolist() == [[[1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0]]]
    assert torch.equal(overlap_add([first], 3), first)


def test_a_last_segment_shorter_than_the_overlap_still_decodes():
    model = small_model(**SMALL_48KHZ)
    x = noise(1, 2, 2 * 4_752 + 5)
    output = model(x)
    assert output.audio_values.shape == x.shape
    assert np.isfinite(output.audio_values.numpy()).all()
