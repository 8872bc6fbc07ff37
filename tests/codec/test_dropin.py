"""What scripts written for transformers rely on: configuration, loading, gradients, export. Parity is elsewhere."""

import copy
import json

import numpy as np
import pytest
import torch
import transformers

from codec import EncodecConfig, EncodecFeatureExtractor, EncodecModel
from codec.outputs import EncodecOutput
from tests.oracles import assert_same_codes, noise

SMALL = {"num_filters": 2, "hidden_size": 4, "codebook_size": 16, "target_bandwidths": [0.6, 1.2]}
SEGMENTED = {
    **SMALL,
    "sampling_rate": 4_800,
    "audio_channels": 2,
    "normalize": True,
    "chunk_length_s": 0.5,
    "overlap": 0.01,
    "norm_type": "time_group_norm",
    "use_causal_conv": False,
}


@pytest.fixture
def theirs():
    torch.manual_seed(0)
    model = transformers.EncodecModel(transformers.EncodecConfig(**SMALL)).eval()
    for layer in model.quantizer.layers:
        layer.codebook.embed.normal_()
    return model


def test_unknown_fields_are_kept_and_written_back(tmp_path):
    values = {"foo": 1, "model_type": "encodec", "torch_dtype": "float16", "to_dict": 2}
    config = EncodecConfig(**values)
    config.bar = [3]
    assert (config.foo, config.bar, config.dtype, config.torch_dtype) == (1, [3], torch.float16, torch.float16)
    config.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert [written[name] for name in ("foo", "bar", "dtype", "to_dict", "model_type")] == [
        *(1, [3], "float16", 2, "encodec")
    ]
    back = EncodecConfig.from_pretrained(tmp_path, num_filters=16)
    assert (back.foo, back.num_filters, back.to_dict()["to_dict"]) == (1, 16, 2)
    EncodecConfig(foo=1).save_pretrained(tmp_path)
    assert transformers.EncodecConfig.from_pretrained(tmp_path).foo == 1
    with pytest.raises(AttributeError, match="no 'nothing'"):
        _ = config.nothing
    assert copy.deepcopy(config).foo == 1


def test_json_and_updates_as_in_transformers(tmp_path):
    config = EncodecConfig(num_filters=16, foo=1)
    assert config.to_diff_dict() == {"num_filters": 16, "foo": 1, "model_type": "encodec"}
    assert json.loads(config.to_json_string(use_diff=False))["kernel_size"] == 7
    config.to_json_file(tmp_path / "config.json")
    assert EncodecConfig.from_json_file(tmp_path / "config.json").to_dict() == config.to_dict()
    config.update({"num_filters": 8, "bar": 2})
    assert (config.num_filters, config.bar) == (8, 2)


def test_assigned_fields_are_checked_and_take_effect():
    config = EncodecConfig()
    config.chunk_length_s, config.overlap = 1.0, 0.01
    assert (config.chunk_length, config.chunk_stride) == (24_000, 23_760)
    with pytest.raises(ValueError, match=r"EncodecConfig.normalize must be True or False, got 'no'"):
        config.normalize = "no"
    config.hidden_size = 64
    with pytest.raises(ValueError, match="codebook_dim must be hidden_size"):
        EncodecModel(config)


@pytest.mark.parametrize(
    "values", [{"chunk_length_s": 1.0}, {"audio_channels": 3}, {"target_bandwidths": [24.0, 1.5, 6.0]}], ids=str
)
def test_configurations_that_transformers_takes(values):
    ours, theirs = EncodecConfig(**values), transformers.EncodecConfig(**values)
    for name in ("chunk_length", "chunk_stride", "num_quantizers", "audio_channels"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert list(ours.target_bandwidths) == list(theirs.target_bandwidths)


def test_bandwidths_in_any_order_use_the_codebooks_there_are():
    config = EncodecConfig(target_bandwidths=[24.0, 1.5, 6.0])
    assert [config.codebooks_for(kbps) for kbps in (None, 24.0, 1.5, 6.0)] == [8, 8, 2, 8]


def test_segments_without_overlap_follow_each_other():
    torch.manual_seed(0)
    model = EncodecModel(EncodecConfig(**{**SMALL, "chunk_length_s": 0.1})).eval()
    x = noise(1, 1, 6_000, dtype=torch.float32)
    assert len(model.encode(x).audio_codes) == 3
    assert model(x).audio_values.shape == x.shape


def test_attributes_of_the_model(theirs):
    ours = EncodecModel(EncodecConfig(**SMALL))
    assert (ours.main_input_name, ours.config_class, ours.base_model_prefix) == (
        "input_values",
        EncodecConfig,
        "encodec",
    )
    assert (ours.get_encoder(), ours.get_decoder()) == (ours.encoder, ours.decoder)
    assert (ours.device, ours.dtype, ours.name_or_path) == (torch.device("cpu"), torch.float32, "random")
    norms = sum(p.numel() for name, p in theirs.named_parameters() if name.endswith("original0"))
    assert ours.num_parameters() == theirs.num_parameters() - norms
    ours.encoder.requires_grad_(False)
    assert ours.num_parameters(only_trainable=True) == sum(p.numel() for p in ours.decoder.parameters())


def test_loading_from_weights_in_memory(theirs):
    config = EncodecConfig(**SMALL)
    ours = EncodecModel.from_pretrained(None, config=config, state_dict=theirs.state_dict())
    other = EncodecModel(EncodecConfig(**SMALL)).eval()
    other.load_state_dict(theirs.state_dict())
    x = noise(1, 1, 700, dtype=torch.float32)
    with torch.no_grad():
        expected = theirs.encode(x, bandwidth=1.2).audio_codes
        assert_same_codes(ours.encode(x, bandwidth=1.2).audio_codes, expected)
        assert_same_codes(other.encode(x, bandwidth=1.2).audio_codes, expected)
    with pytest.raises(ValueError, match="expects both config and state_dict"):
        EncodecModel.from_pretrained(None, config=config)


def test_options_of_from_pretrained(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "sub")
    model = EncodecModel.from_pretrained(
        tmp_path,
        subfolder="sub",
        torch_dtype="float64",
        device_map="cpu",
        low_cpu_mem_usage=True,
        chunk_length_s=0.1,
        overlap=0.01,
    )
    assert (model.dtype, model.config.chunk_stride, model.device.type) == (torch.float64, 2_376, "cpu")
    assert EncodecModel.from_pretrained(tmp_path / "sub", dtype="auto").dtype == torch.float32
    with pytest.raises(TypeError, match="unexpected option 'gadget'"):
        EncodecModel.from_pretrained(tmp_path / "sub", gadget=1)


def test_push_to_hub_uploads_what_is_saved(monkeypatch):
    uploaded = {}

    class Api:
        def __init__(self, token):
            uploaded["token"] = token

        def create_repo(self, repo_id, **options):
            return type("Repo", (), {"repo_id": f"me/{repo_id}"})

        def upload_folder(self, repo_id, folder_path, **options):
            from pathlib import Path

            uploaded[repo_id] = sorted(path.name for path in Path(folder_path).iterdir())
            return type("Commit", (), {"commit_url": "https://commit"})

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    model = EncodecModel(EncodecConfig(**SMALL))
    assert model.push_to_hub("small", token="secret", commit_message="x") == "https://commit"
    assert uploaded == {
        "token": "secret",
        "me/small": ["config.json", "model.safetensors", "preprocessor_config.json"],
    }


def test_outputs_are_dictionaries():
    output = EncodecModel(EncodecConfig(**SMALL))(torch.zeros(1, 1, 400))
    assert isinstance(output, dict)
    assert list(output.keys()) == ["audio_codes", "audio_values"]
    assert {**output}["audio_values"] is output.audio_values is output[1]
    doubled = torch.utils._pytree.tree_map(lambda value: 2 * value, output)
    assert isinstance(doubled, EncodecOutput)
    assert torch.equal(doubled.audio_codes, 2 * output.audio_codes)


def test_one_mask_serves_the_whole_batch():
    torch.manual_seed(0)
    model = EncodecModel(EncodecConfig(**SMALL)).eval()
    x = noise(3, 1, 1_000, dtype=torch.float32)
    mask = (torch.arange(1_000) < 700).int()[None]
    assert torch.equal(model(x, mask).audio_values, model(x, mask.expand(3, -1)).audio_values)


@pytest.mark.parametrize("values", [SMALL, SEGMENTED], ids=["weight norm", "group norm"])
def test_the_decoder_learns_as_in_transformers(values):
    torch.manual_seed(0)
    theirs = transformers.EncodecModel(transformers.EncodecConfig(**values)).double()
    for layer in theirs.quantizer.layers:
        layer.codebook.embed.normal_()
    ours = EncodecModel.from_pretrained(
        None, config=EncodecConfig(**values), state_dict=theirs.state_dict(), dtype=torch.float64
    )
    x = noise(2, ours.config.audio_channels, 2_400)
    assert not ours(x).audio_values.requires_grad, "loaded for inference, nothing is recorded"
    ours.train()
    for model in (ours, theirs):
        model(x).audio_values.pow(2).sum().backward()
    expected = {name: p.grad for name, p in theirs.decoder.named_parameters()}
    compared = 0
    for name, parameter in ours.decoder.named_parameters():
        assert parameter.grad is not None, name
        if name in expected:  # all but the weights under weight norm
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-6, atol=1e-8)
            compared += 1
    assert compared > 10


def test_what_the_user_froze_stays_frozen_and_streams_record_nothing():
    model = EncodecModel.from_pretrained("encodec_24khz_tiny")
    model.encoder.requires_grad_(False)
    torch.nn.ModuleList([model]).train()
    assert not any(p.requires_grad for p in model.encoder.parameters())
    assert model(torch.zeros(1, 1, 400)).audio_values.requires_grad
    asked = EncodecModel.from_pretrained("encodec_24khz_tiny").requires_grad_()
    assert asked(torch.zeros(1, 1, 400)).audio_values.requires_grad


def test_fine_tuning_the_decoder_lowers_its_loss():
    model = EncodecModel.from_pretrained("encodec_24khz_tiny").train()
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=1e-3)
    wav = noise(2, 1, 4_800, dtype=torch.float32)
    losses = []
    for _ in range(6):
        loss = (model(wav, bandwidth=6.0).audio_values - wav).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.98 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("values", [SMALL, SEGMENTED], ids=["whole", "segments"])
def test_export_without_a_mask(values):
    torch.manual_seed(0)
    model = EncodecModel(EncodecConfig(**values)).eval()
    x = noise(2, model.config.audio_channels, 4_000, dtype=torch.float32)
    exported = torch.export.export(model, (x,)).module()
    with torch.no_grad():
        codes, audio = exported(x).to_tuple()
        expected = model(x)
    assert (codes == expected.audio_codes).double().mean() > 0.99
    if torch.equal(codes, expected.audio_codes):
        torch.testing.assert_close(audio, expected.audio_values, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_compiled_graph_has_no_break_for_the_data():
    torch.manual_seed(0)
    model = EncodecModel(EncodecConfig(**SMALL)).eval()
    explained = torch._dynamo.explain(model)(noise(1, 1, 4_000, dtype=torch.float32))
    assert not [reason for reason in explained.break_reasons if "item" in reason.reason], explained.break_reasons


EXTRACTOR_INPUTS = {"input_values": [np.arange(n, dtype=np.float64) for n in (5, 9, 12)]}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": False},
        {"padding": "max_length", "max_length": 15},
        {"padding": "max_length", "max_length": 7, "truncation": True},
        {"pad_to_multiple_of": 10},
        {"padding": "max_length", "max_length": 7, "pad_to_multiple_of": 4, "truncation": True},
        {"return_attention_mask": False, "return_tensors": "pt"},
        {"padding": "max_length", "max_length": 7, "return_tensors": "np"},
    ],
    ids=str,
)
def test_pad_is_that_of_transformers(options):
    ours = EncodecFeatureExtractor().pad(copy.deepcopy(EXTRACTOR_INPUTS), **options)
    theirs = transformers.EncodecFeatureExtractor().pad(
        transformers.BatchFeature(copy.deepcopy(EXTRACTOR_INPUTS)), **options
    )
    assert set(ours.keys()) == set(theirs.keys())
    for name in theirs:
        assert len(ours[name]) == len(theirs[name])
        for mine, other in zip(ours[name], theirs[name], strict=True):
            np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))


def test_extractor_files_and_changes(tmp_path):
    extractor = EncodecFeatureExtractor(foo=3, sampling_rate=16_000)
    (path,) = extractor.save_pretrained(tmp_path)
    assert json.loads(extractor.to_json_string())["foo"] == 3
    assert EncodecFeatureExtractor.from_json_file(path).to_dict() == extractor.to_dict()
    changed = EncodecFeatureExtractor.from_pretrained(tmp_path, chunk_length_s=1, overlap=0.01)
    assert (changed.chunk_stride, changed.sampling_rate) == (15_840, 16_000)
