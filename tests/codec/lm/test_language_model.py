"""The language model and its two coding forms against `encodec.model.LMModel`, and the proof's premises."""

import math

import numpy as np
import pytest
import torch
from encodec.model import LMModel
from encodec.quantization.ac import build_stable_quantized_cdf

import codec
from codec.ecdc import entropy
from codec.errors import CheckpointError, EcdcError
from codec.lm import TOTAL
from codec.lm import exact as portable
from codec.lm.exact import PortableLanguageModel
from codec.lm.facebook import CompatibleLanguageModel
from codec.lm.model import LanguageModel, LanguageModelConfig
from tests import ROOT


def pair(codebooks: int = 4, size: int = 64, dim: int = 40, layers: int = 2, context: int = 20, seed: int = 0):
    torch.manual_seed(seed)
    theirs = LMModel(codebooks, size, dim=dim, num_layers=layers, past_context=context).eval().requires_grad_(False)
    for head in theirs.linears:
        torch.nn.init.normal_(head.weight, std=0.3)
    for layer in theirs.transformer.layers:
        torch.nn.init.normal_(layer.self_attn.in_proj_bias)
    sizes = LanguageModelConfig(codebooks, size, dim, 8, layers, 4 * dim, context)
    ours = LanguageModel(sizes, "lm").eval().requires_grad_(False)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def random_codes(*shape: int, size: int = 64) -> torch.Tensor:
    return torch.randint(size, shape, generator=torch.Generator().manual_seed(1))


def test_teacher_forced_equals_encodec_step_by_step():
    ours, theirs = (model.double() for model in pair())
    codes = random_codes(2, 3, 60)
    states, offset, previous, steps = None, 0, torch.zeros(2, 3, 1, dtype=torch.long), []
    for t in range(60):
        probabilities, states, offset = theirs(previous, states, offset)
        steps.append(probabilities)
        previous = 1 + codes[:, :, t : t + 1]
    expected = torch.cat(steps, dim=-1).permute(0, 2, 3, 1)
    assert (ours(codes).softmax(-1) - expected).abs().max() < 1e-12
    bits = -expected.gather(-1, codes[..., None])[..., 0].log2()
    assert torch.allclose(ours.bits(codes), bits)


@pytest.mark.parametrize("threads", [1, 2])
def test_compatible_steps_have_the_bits_of_encodec(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours, theirs = pair(dim=200, size=1024, context=30)
        model = CompatibleLanguageModel(ours, 3)
        codes = random_codes(1, 3, 80, size=1024)
        states, offset, previous = None, 0, torch.zeros(1, 3, 1, dtype=torch.long)
        for t in range(80):
            with torch.no_grad():
                probabilities, states, offset = theirs(previous, states, offset)
            expected = [build_stable_quantized_cdf(probabilities[0, :, k, 0], 24, check=False) for k in range(3)]
            assert np.array_equal(model.step(previous[0, :, 0].tolist()), torch.stack(expected)), f"frame {t}"
            previous = 1 + codes[:, :, t : t + 1]
    finally:
        torch.set_num_threads(before)


def tables(model: PortableLanguageModel, codes: torch.Tensor, chunk: int) -> torch.Tensor:
    state = model.start(len(codes), codes.shape[-1])
    previous = torch.nn.functional.pad(codes + 1, (1, 0))[..., :-1]
    parts = [model.advance(part.numpy(), state) for part in torch.split(previous, chunk, dim=-1)]
    return torch.from_numpy(model.cumulative(np.concatenate(parts, axis=1)))


@pytest.mark.parametrize("threads", [1, 2])
def test_portable_tables_depend_on_nothing_but_the_codes(threads):
    """Chunk, batch, threads, and the order of every sum: features and weights permuted give the same integers."""
    before = torch.get_num_threads()
    ours, _ = pair(context=30)
    codes = random_codes(3, 4, 90)
    model = PortableLanguageModel(ours)
    expected = tables(model, codes[:1], 90)
    torch.set_num_threads(threads)
    try:
        for chunk in (1, 7, 64):
            assert torch.equal(tables(model, codes, chunk)[:1], expected), f"chunks of {chunk}"
    finally:
        torch.set_num_threads(before)


def test_portable_products_are_exact_in_any_order():
    """The premise of the format: sums in reversed order, in blocks, and as Python integers give the same integers."""
    ours, _ = pair(dim=200, size=1024)
    linear = PortableLanguageModel(ours)._layers[0].up
    weight = torch.from_numpy(linear.weight * portable.WEIGHT_UNIT)
    x = torch.randint(-int(portable.LIMIT), int(portable.LIMIT) + 1, (3, 200)).double()
    expected = x @ weight.T
    assert torch.equal(x.flip(1) @ weight.flip(1).T, expected)
    assert torch.equal(sum(part @ w.T for part, w in zip(x.split(7, 1), weight.split(7, 1), strict=True)), expected)
    row = sum(int(a) * int(b) for a, b in zip(x[0].tolist(), weight[5].tolist(), strict=True))
    assert int(expected[0, 5]) == row


@pytest.mark.parametrize(
    ("exact", "entries"),
    [
        (lambda i: portable.EXP_ONE * math.exp(-i / portable.EXP_STEPS), range(16 * portable.EXP_STEPS)),
        (lambda i: portable.UNIT * math.cos(2 * math.pi * i / portable.TURN), range(portable.TURN)),
        (
            lambda i: (x := i - 8 * portable.UNIT) * 0.5 * math.erfc(-x / portable.UNIT / math.sqrt(2)),
            range(16 * portable.UNIT),
        ),
    ],
)
def test_no_table_entry_is_near_a_rounding_boundary(exact, entries):
    """Library functions err below 1e-9 of these units, so every library rounds to the same integers."""
    margins = [(abs((value := exact(i)) - math.floor(value) - 0.5), i) for i in entries]
    assert min(margins)[0] > 1e-7, min(margins)


def test_portable_costs_what_the_float_model_predicts():
    ours, _ = pair(dim=64, size=1024)
    codes = ours(random_codes(1, 4, 300, size=1024)).argmax(-1)  # likely codes of some past
    model = PortableLanguageModel(ours)
    ends = torch.nn.functional.pad(tables(model, codes, 256)[0], (1, 0))
    shares = ends.diff(dim=-1).gather(-1, codes[0].t()[..., None])[..., 0]
    cost = (math.log2(TOTAL) - shares.log2()).mean().item()
    assert cost == pytest.approx(ours.bits(codes).mean().item(), abs=0.02)
    assert ends.diff(dim=-1).min() >= 2
    assert ends[..., -1].max() <= TOTAL


def test_streams_decode_together_or_alone():
    ours, _ = pair()
    codes = [random_codes(4, 33) * 0 + n for n in range(3)]
    bodies = [entropy.encode(ours, item) for item in codes]
    damaged = bodies[1][:-3]
    first, second, third = entropy.decode(ours, [bodies[0], damaged, bodies[2]], 4, 33)
    assert torch.equal(first, codes[0])
    assert isinstance(second, EcdcError)
    assert torch.equal(third, codes[2])
    assert torch.equal(entropy.decode(ours, bodies[:1], 4, 33)[0], codes[0])


def test_weights_too_large_for_exact_sums_are_refused():
    ours, _ = pair()
    with torch.no_grad():
        ours.head(0).weight[3] = 1e5
    with pytest.raises(CheckpointError, match="too large for exact coding"):
        PortableLanguageModel(ours)


def test_files(tmp_path):
    ours, theirs = pair()
    ours.codec_sha256 = "ab" * 32
    ours.save(tmp_path / "lm.safetensors")
    loaded = LanguageModel.load(tmp_path / "lm.safetensors")
    assert (loaded.config, loaded.name, loaded.codec_sha256) == (ours.config, "lm", "ab" * 32)
    codes = random_codes(1, 4, 50)
    assert loaded.bits(codes).mean().item() == pytest.approx(ours.bits(codes).mean().item(), rel=0.01)
    assert loaded.sha256 == LanguageModel.load(tmp_path / "lm.safetensors").sha256 != ours.sha256
    torch.save(theirs.state_dict(), tmp_path / "encodec_lm_24khz.th")
    facebook = LanguageModel.load(tmp_path / "encodec_lm_24khz.th")
    assert facebook.config.context == 262
    assert torch.equal(facebook.head(1).weight, theirs.linears[1].weight)
    (tmp_path / "encodec_lm_24khz.th").rename(tmp_path / "lm-00000000.th")
    with pytest.raises(CheckpointError, match="damaged: its sha256"):
        LanguageModel.load(tmp_path / "lm-00000000.th")
    data = (tmp_path / "lm.safetensors").read_bytes()
    for size in (0, 7, 100, len(data) - 1):
        (tmp_path / "cut.safetensors").write_bytes(data[:size])
        with pytest.raises(CheckpointError, match=r"cut\.safetensors"):
            LanguageModel.load(tmp_path / "cut.safetensors")
    with pytest.raises(CheckpointError, match="not a readable language model"):
        LanguageModel.load(tmp_path / "missing.th")


def test_the_bundled_model_belongs_to_the_bundled_codec():
    model = codec.load_model("encodec_24khz_tiny")
    lm = codec.language_model_for(model.name)
    assert lm.codec_sha256 == model.checkpoint_sha256
    assert lm.config.codebooks == model.config.num_quantizers


@pytest.mark.parametrize("codebooks", [2, 16])
def test_the_bundled_model_codes_at_the_rate_that_it_predicts(codebooks):
    """Weights that drive activations to the exact coder's limits would cost bits that training never sees."""
    model = codec.load_model("encodec_24khz_tiny")
    lm = codec.language_model_for(model.name)
    path = min((ROOT / "encodec_eval/data/librispeech-mini").rglob("*.flac"))
    wav = codec.audio.resample(codec.audio.load(path)[0], 16_000, 24_000)[:, : 24_000 * 4]
    codes = model.encode(wav[None], bandwidth=24.0).audio_codes[0][:, :codebooks]
    coded = 8 * len(entropy.encode(lm, codes[0])) / codes.numel()
    assert coded == pytest.approx(lm.bits(codes).mean().item(), rel=0.01)


def test_the_bundled_model_codes_the_end_of_a_long_recording_too():
    """Beyond the context, the key before the first frame is out of view: a model that leans on it codes badly there."""
    model = codec.load_model("encodec_24khz_tiny")
    lm = codec.language_model_for(model.name)
    files = (ROOT / "encodec_eval/data/librispeech-mini").rglob("*.flac")
    wav, rate = codec.audio.load(max(files, key=lambda path: codec.audio.info(path).duration_s))
    codes = model.encode(codec.audio.resample(wav, rate, 24_000)[None], bandwidth=6.0).audio_codes[0]
    context = lm.config.context
    assert codes.shape[-1] > 4 * context
    anew = torch.cat([lm.bits(piece) for piece in codes.split(context, dim=-1)], dim=-1)
    assert lm.bits(codes)[..., context:].mean() < anew[..., context:].mean() + 0.1


@pytest.mark.parametrize("values", [{"dim": 0}, {"dim": 30}, {"heads": 3}, {"layers": 1 << 20}, {"context": "262"}])
def test_sizes_are_checked(values):
    with pytest.raises(CheckpointError, match="language model"):
        LanguageModelConfig(**values)
