"""Decoding with lost frames: equality without loss, recovery after it, and packets that carry codes twice."""

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import codec
from codec import DecoderStream, EncodecConfig, EncodecModel, LanguageModel, load_model
from codec.concealment import ConcealingDecoderStream, MostProbable, Repeat, TowardsZero, recovery
from codec.lm.model import LanguageModelConfig
from codec.packets import PacketDecoder, PacketFormat

HOP = 320
K = 4
SPEECH = Path(__file__).parents[2] / "encodec_eval/data/librispeech-mini/test-other/1688/142285/1688-142285-0001.flac"


def make_model(dtype=torch.float32) -> EncodecModel:
    torch.manual_seed(0)
    return EncodecModel(EncodecConfig(num_filters=4, hidden_size=16)).to(dtype).eval().requires_grad_(False)


def make_language_model() -> LanguageModel:
    torch.manual_seed(0)
    sizes = LanguageModelConfig(codebooks=8, codebook_size=1024, dim=16, heads=2, layers=1, feed_forward=16, context=20)
    return LanguageModel(sizes).eval().requires_grad_(False)


MODEL, LM = make_model(), make_language_model()
METHODS = [Repeat(), TowardsZero(), MostProbable(LM)]
NAMES = [type(method).__name__ for method in METHODS]


def random_codes(*shape: int) -> torch.Tensor:
    return torch.randint(1024, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6), batch=st.integers(1, 2))
def test_without_loss_it_is_the_decoder_by_the_bit(method, sizes, batch):
    expected, found = DecoderStream(MODEL), ConcealingDecoderStream(MODEL, method)
    for part in random_codes(batch, K, sum(sizes)).split(sizes, dim=-1):
        assert torch.equal(found.push(part), expected.push(part))
        assert torch.equal(found.lose(0, batch), torch.empty(batch, 1, 0))
    assert torch.equal(found.flush(), expected.flush())


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=5), first_lost=st.booleans())
def test_every_frame_is_heard_for_as_long_as_it_lasts(method, sizes, first_lost):
    stream = ConcealingDecoderStream(MODEL, method)
    lost = itertools.cycle([first_lost, not first_lost])
    audio = [stream.lose(size) if next(lost) else stream.push(random_codes(1, K, size)) for size in sizes]
    audio = torch.cat([*audio, stream.flush()], dim=-1)
    assert audio.shape[-1] == sum(sizes) * HOP
    assert audio.isfinite().all()


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_a_loss_changes_nothing_before_it_and_is_forgotten(method):
    model, codes, start, lost = make_model(torch.float64), random_codes(1, K, 90), 20, 6
    undisturbed, stream = DecoderStream(model), ConcealingDecoderStream(model, method)
    before = torch.cat([stream.push(codes[..., :start]), stream.lose(lost)], dim=-1)
    expected = torch.cat([undisturbed.push(codes[..., :start]), undisturbed.push(codes[..., start : start + lost])], -1)
    assert torch.equal(before[..., : start * HOP], expected[..., : start * HOP])
    assert not torch.equal(before, expected)
    frames = [recovery(model, codes, start, lost, method, tolerance) for tolerance in (1e-5, 1e-3)]
    assert None not in frames
    assert frames[0] >= frames[1] > 0
    assert recovery(model, codes[..., :30], start, 0, method) == 0


def test_a_state_goes_on_in_another_stream():
    codes, stream = random_codes(1, K, 40), ConcealingDecoderStream(MODEL)
    stream.push(codes[..., :20])
    stream.lose(5)
    other = ConcealingDecoderStream(MODEL, state=stream.state)
    for part in codes[..., 20:].split([3, 1, 16], dim=-1):
        assert torch.equal(stream.push(part), other.push(part))
    assert torch.equal(stream.lose(2), other.lose(2))
    assert torch.equal(stream.flush(), other.flush())
    assert stream.state is None


def test_the_level_falls_to_nothing_and_rises_within_a_frame():
    stream, plain = ConcealingDecoderStream(MODEL, Repeat()), DecoderStream(MODEL)
    codes = random_codes(1, K, 20)
    last = codes[..., -1:]
    stream.push(codes)
    plain.push(codes)
    found, repeated = stream.lose(12), plain.push(last.expand(-1, -1, 12))
    assert torch.equal(found[..., : 2 * HOP], repeated[..., : 2 * HOP])
    assert torch.equal(found[..., 10 * HOP :], torch.zeros(1, 1, 2 * HOP))
    found, expected = stream.push(last.expand(-1, -1, 2)), plain.push(last.expand(-1, -1, 2))
    ramp = torch.arange(1, HOP + 1) / HOP
    torch.testing.assert_close(found[..., :HOP], expected[..., :HOP] * ramp)
    assert torch.equal(found[..., HOP:], expected[..., HOP:])


def test_the_language_model_is_asked_for_the_next_frame():
    lm, codes = make_language_model(), random_codes(1, K, 15)
    stream = ConcealingDecoderStream(MODEL, MostProbable(lm))
    stream.push(codes)
    stream.lose(2)
    for _ in range(2):
        guess = lm(torch.nn.functional.pad(codes, (0, 1)))[:, :, -1].argmax(dim=-1)
        codes = torch.cat([codes, guess[..., None]], dim=-1)
    known = stream.state[1].codes
    assert torch.equal(known, codes[..., -known.shape[-1] :])


def test_segments_are_refused():
    model = EncodecModel(EncodecConfig(num_filters=4, hidden_size=16, chunk_length_s=0.1, overlap=0.1))
    with pytest.raises(ValueError, match="whole segments"):
        ConcealingDecoderStream(model)
    with pytest.raises(ValueError, match="takes codes"):
        DecoderStream(model).push_latents(torch.zeros(1, 16, 3))


@settings(max_examples=20, deadline=None)
@given(frames=st.integers(0, 20), per_packet=st.integers(1, 5), copies=st.integers(0, K))
def test_packets_hold_their_codes_and_the_first_of_those_before(frames, per_packet, copies):
    codes, form = random_codes(K, frames), PacketFormat(per_packet, K, copies)
    packets = form.pack(codes)
    parts = codes.split(per_packet, dim=-1) if frames else [codes]
    for n, (packet, part) in enumerate(zip(packets, parts, strict=True)):
        own, extra = form.unpack(packet, first=n == 0)
        assert torch.equal(own, part), n
        assert torch.equal(extra, parts[n - 1][:copies] if n and copies else extra[:, :0]), n


@pytest.mark.parametrize("copies", [0, 2])
def test_packets_that_all_arrive_give_the_decoders_audio(copies):
    codes, form = random_codes(1, K, 20), PacketFormat(3, K, copies)
    decoder, expected = PacketDecoder(MODEL, form), DecoderStream(MODEL)
    for packet, part in zip(form.pack(codes[0]), codes.split(3, dim=-1), strict=True):
        assert torch.equal(decoder.receive(packet), expected.push(part))
    assert torch.equal(decoder.finish(), expected.flush())


def test_a_lost_packet_comes_again_coarser_with_the_next():
    codes, form = random_codes(1, K, 18), PacketFormat(3, K, copies=2)
    decoder, expected = PacketDecoder(MODEL, form), ConcealingDecoderStream(MODEL)
    parts, packets = codes.split(3, dim=-1), form.pack(codes[0])
    packets[2] = packets[4] = packets[5] = None
    audio = torch.cat([*map(decoder.receive, packets), decoder.finish()], dim=-1)
    heard = [expected.push(part) for part in (*parts[:2], parts[2][:, :2], parts[3])] + [
        expected.lose(3),
        expected.lose(3),
        expected.flush(),
    ]
    assert torch.equal(audio, torch.cat(heard, dim=-1))
    assert decoder.concealed == 6


def test_a_format_says_what_it_expects():
    with pytest.raises(ValueError, match="5 codebooks to repeat; expected 0 to 4"):
        PacketFormat(3, 4, copies=5)
    with pytest.raises(ValueError, match="expected 1 or more"):
        PacketFormat(0, 4)


@pytest.mark.slow
@pytest.mark.parametrize("lost_at", [40, 100])
def test_the_bundled_model_recovers(lost_at):
    """To -40 dB of full scale within 0.5 s, to -60 dB within 2.5 s: its LSTM forgets slowly."""
    model = load_model("encodec_24khz_tiny").eval()
    wav, rate = codec.audio.load(SPEECH)
    codes = model.encode(codec.audio.resample(wav, rate, 24_000)[None], bandwidth=6.0).audio_codes[0]
    for method in (Repeat(), TowardsZero()):
        for tolerance, seconds in ((1e-2, 0.5), (1e-3, 2.5)):
            frames = recovery(model, codes, lost_at, 9, method, tolerance)
            assert frames is not None, tolerance
            assert 0 < frames < seconds * model.config.frame_rate, tolerance
