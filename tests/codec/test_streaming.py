"""Streams against coding the whole clip at once: over lengths, chunkings, bandwidths and states handed on."""

import copy
import io
from pathlib import Path

import pytest
import torch
import transformers

import encodec_eval
from codec import DecoderStream, EncodecConfig, EncodecModel, EncoderStream, load_model
from codec.audio import load, resample

SPEECH = Path(encodec_eval.__file__).parent / "data" / "librispeech-mini"
HOP = 320
WARM_UP = 7 * HOP
CAUSAL = {"num_filters": 4, "hidden_size": 16}
SEGMENTS = {
    **CAUSAL,
    "target_bandwidths": (3.0, 6.0, 12.0, 24.0),
    "sampling_rate": 48_000,
    "audio_channels": 2,
    "normalize": True,
    "chunk_length_s": 0.1,
    "overlap": 0.05,
    "norm_type": "time_group_norm",
    "use_causal_conv": False,
}
CHUNKINGS = {"frame": [HOP], "primes": [2, 3, 317, 7, 1009, 31, 5003], "long": [4999], "whole": [10**9]}


def make(dtype=torch.float64, **fields) -> EncodecModel:
    torch.manual_seed(0)
    return EncodecModel(EncodecConfig(**fields)).to(dtype).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def causal() -> EncodecModel:
    return make(**CAUSAL)


@pytest.fixture(scope="module")
def segments() -> EncodecModel:
    return make(**SEGMENTS)


def noise(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    level = torch.linspace(0.1, 20, shape[-1], dtype=dtype).sin().abs()
    return torch.randn(*shape, generator=generator, dtype=dtype) * level * 0.3


def cut(x, sizes):
    """`x [..., T]` in pieces of `sizes`, taken in turn until it ends."""
    start, n = 0, 0
    while start < x.shape[-1]:
        yield x[..., start : start + sizes[n % len(sizes)]]
        start, n = start + sizes[n % len(sizes)], n + 1


def encode_stream(stream, x, sizes):
    return [piece for chunk in cut(x, sizes) for piece in stream.push(chunk)] + stream.flush()


def decode_stream(stream, pieces):
    return torch.cat([stream.push(*piece) for piece in pieces] + [stream.flush()], dim=-1)


def assert_streams_like_offline(model, x, sizes):
    offline = model.encode(x, bandwidth=6.0)
    mask = torch.ones(len(x), x.shape[-1])
    audio = model.decode(offline.audio_codes, offline.audio_scales, mask).audio_values
    pieces = encode_stream(EncoderStream(model, 6.0), x, sizes)
    if model.config.chunk_length is None:
        codes = torch.cat([piece.codes for piece in pieces], dim=-1)
        assert_equal(codes, offline.audio_codes[0])
        pieces = [(part, None) for part in cut(codes, [1, 5, 2])]
    else:
        assert len(pieces) == len(offline.audio_codes)
        for piece, codes, scale in zip(pieces, offline.audio_codes, offline.audio_scales, strict=True):
            assert_equal(piece.codes, codes[..., : piece.codes.shape[-1]])
            torch.testing.assert_close(piece.scale, scale, rtol=0, atol=0)
    streamed = decode_stream(DecoderStream(model), pieces)
    assert 0 <= streamed.shape[-1] - x.shape[-1] < model.config.hop_length
    torch.testing.assert_close(streamed[..., : x.shape[-1]], audio, rtol=0, atol=1e-12)


def assert_equal(codes, expected):
    assert codes.shape == expected.shape
    wrong = (codes != expected).nonzero()
    assert len(wrong) == 0, f"{len(wrong)} of {codes.numel()} codes differ, the first at {wrong[0].tolist()}"


@pytest.mark.parametrize("sizes", CHUNKINGS.values(), ids=CHUNKINGS)
@pytest.mark.parametrize(
    "length", [1, HOP - 1, HOP, HOP + 1, WARM_UP - 1, WARM_UP, WARM_UP + 1, 8 * HOP, 8 * HOP + 1, 25_037]
)
def test_causal_stream_is_offline(causal, length, sizes):
    assert_streams_like_offline(causal, noise(2, 1, length), sizes)


@pytest.mark.parametrize("sizes", CHUNKINGS.values(), ids=CHUNKINGS)
@pytest.mark.parametrize("length", [1, 4559, 4560, 4561, 4799, 4800, 4801, 9119, 9120, 9121, 9360, 9361, 25_037])
def test_segment_stream_is_offline(segments, length, sizes):
    assert_streams_like_offline(segments, noise(2, 2, length), sizes)


def test_one_sample_at_a_time(causal):
    assert_streams_like_offline(causal, noise(1, 1, WARM_UP + 2 * HOP + 1), [1])


@pytest.mark.parametrize(
    "fields",
    [
        {"trim_right_ratio": 0.5},
        {"trim_right_ratio": 0.0},
        {"num_residual_layers": 3, "dilation_growth_rate": 3},
        {"use_conv_shortcut": False, "num_lstm_layers": 1},
        {"pad_mode": "constant"},
        {"pad_mode": "replicate"},
        {
            "upsampling_ratios": (3, 2),
            "sampling_rate": 600,
            "kernel_size": 5,
            "last_kernel_size": 3,
            "residual_kernel_size": 5,
        },
        {"chunk_length_s": 0.07, "overlap": 0.6},
        {"chunk_length_s": 0.07, "overlap": 0.0, "normalize": True},
    ],
    ids=str,
)
def test_other_configurations(fields):
    model = make(**CAUSAL, **fields)
    hop = model.config.hop_length
    for length in (1, 5 * hop, 30 * hop + 5):
        assert_streams_like_offline(model, noise(1, 1, length), [hop, 3 * hop + 1, hop - 3])


def test_float32_is_offline_within_rounding():
    model = make(torch.float32)
    x = noise(1, 1, 24_000, dtype=torch.float32)
    offline = model.encode(x, bandwidth=24.0).audio_codes
    codes = torch.cat([p.codes for p in encode_stream(EncoderStream(model, 24.0), x, [HOP, 7 * HOP])], dim=-1)
    assert (codes == offline[0]).float().mean() >= 0.995
    audio = model.decode(offline, [None]).audio_values
    streamed = decode_stream(DecoderStream(model), [(part, None) for part in cut(offline[0], [1, 4])])
    torch.testing.assert_close(streamed, audio, rtol=0, atol=1e-5 * float(audio.abs().max()))


def test_streams_on_one_model_do_not_mix(causal):
    clips = [noise(1, 1, 9_000), noise(1, 1, 9_000).flip(-1)]
    streams = [EncoderStream(causal, 6.0) for _ in clips]
    codes: list[list] = [[], []]
    for parts in zip(*(cut(clip, [700]) for clip in clips), strict=True):
        for i, part in enumerate(parts):
            codes[i] += [piece.codes for piece in streams[i].push(part)]
    for i, clip in enumerate(clips):
        codes[i] += [piece.codes for piece in streams[i].flush()]
        assert_equal(torch.cat(codes[i], dim=-1), causal.encode(clip, bandwidth=6.0).audio_codes[0])


def test_a_state_resumes_from_a_file_and_is_not_changed(causal):
    x = noise(1, 1, 9_000)
    offline = causal.encode(x, bandwidth=6.0).audio_codes[0]
    first = EncoderStream(causal, 6.0)
    head = [piece.codes for piece in first.push(x[..., :5_000])]
    saved = io.BytesIO()
    torch.save(first.state, saved)
    kept, before = first.state, copy.deepcopy(first.state)
    tail = [piece.codes for piece in first.push(x[..., 5_000:]) + first.flush()]
    assert_equal(torch.cat(head + tail, dim=-1), offline)
    torch.testing.assert_close(kept, before, rtol=0, atol=0)
    saved.seek(0)
    resumed = EncoderStream(causal, 6.0, state=torch.load(saved, weights_only=True))
    again = [piece.codes for piece in resumed.push(x[..., 5_000:]) + resumed.flush()]
    assert_equal(torch.cat(head + again, dim=-1), offline)


def test_a_decoder_state_resumes(causal, segments):
    for model in (causal, segments):
        x = noise(1, model.config.audio_channels, 12_000)
        pieces = encode_stream(EncoderStream(model, 6.0), x, [3_000])
        whole = decode_stream(DecoderStream(model), pieces)
        first = DecoderStream(model)
        head = [first.push(*piece) for piece in pieces[:2]]
        before = copy.deepcopy(first.state)
        forked = DecoderStream(model, state=first.state)
        for stream in (first, forked):
            rest = [stream.push(*piece) for piece in pieces[2:]]
            assert torch.equal(torch.cat([*head, *rest, stream.flush()], dim=-1), whole)
        torch.testing.assert_close(
            DecoderStream(model, state=before).push(*pieces[2]), rest[0] if rest else whole[..., :0], rtol=0, atol=0
        )


def test_the_samples_given_may_be_overwritten(causal):
    x = noise(1, 1, 4_000)
    offline = causal.encode(x, bandwidth=6.0).audio_codes[0]
    stream, buffer, codes = EncoderStream(causal, 6.0), torch.empty(1, 1, 100, dtype=x.dtype), []
    for part in cut(x, [100]):
        buffer.copy_(part)
        codes += [piece.codes for piece in stream.push(buffer)]
    assert_equal(torch.cat([*codes, *(piece.codes for piece in stream.flush())], dim=-1), offline)


def test_bandwidth_changes_between_pushes(causal):
    x = noise(1, 1, 16 * HOP)
    stream = EncoderStream(causal, 24.0)
    pieces = stream.push(x[..., : 8 * HOP])
    stream.bandwidth = 1.5
    pieces += stream.push(x[..., 8 * HOP :]) + stream.flush()
    assert [piece.codes.shape[1] for piece in pieces] == [32, 2]
    offline = causal.encode(x, bandwidth=24.0).audio_codes[0]
    assert_equal(pieces[0].codes, offline[:, :, :8])
    assert_equal(pieces[1].codes, offline[:, :2, 8:])
    latents = [causal.quantizer.decode(piece.codes.transpose(0, 1)) for piece in pieces]
    expected = causal.decoder(torch.cat(latents, dim=-1))
    torch.testing.assert_close(decode_stream(DecoderStream(causal), pieces), expected, rtol=0, atol=1e-12)


def test_codes_come_as_soon_as_their_frame_is_complete(causal):
    stream = EncoderStream(causal, 6.0)
    x = noise(1, 1, 9 * HOP)
    assert stream.push(x[..., : WARM_UP - 1]) == []
    assert stream.push(x[..., WARM_UP - 1 : WARM_UP])[0].codes.shape[-1] == 7
    assert stream.push(x[..., WARM_UP : WARM_UP + HOP - 1]) == []
    assert stream.push(x[..., WARM_UP + HOP - 1 :])[0].codes.shape[-1] == 2


def test_state_does_not_grow(causal, segments):
    for model in (causal, segments):
        encoder, decoder, sizes = EncoderStream(model, 6.0), DecoderStream(model), []
        for part in cut(noise(1, model.config.audio_channels, 40 * 4_560), [4_560]):
            for piece in encoder.push(part):
                decoder.push(*piece)
            sizes.append(total_bytes((encoder.state, decoder.state)))
        assert max(sizes) <= 2 * sizes[4] < 2_000_000


def total_bytes(state) -> int:
    """Of the memory that the tensors of a state keep alive."""
    if isinstance(state, tuple):
        return sum(total_bytes(part) for part in state)
    return state.untyped_storage().nbytes() if isinstance(state, torch.Tensor) else 0


def test_training_weights_leave_no_graph(causal):
    model = make(**CAUSAL).requires_grad_()
    encoder, decoder = EncoderStream(model, 6.0), DecoderStream(model)
    for piece in encoder.push(noise(1, 1, WARM_UP)):
        assert not decoder.push(*piece).requires_grad


def test_an_empty_clip_and_a_stream_used_again(causal):
    encoder, decoder = EncoderStream(causal, 6.0), DecoderStream(causal)
    assert encoder.flush() == []
    assert encoder.push(torch.zeros(1, 1, 0, dtype=torch.float64)) == []
    assert encoder.flush() == []
    assert decoder.flush().shape == (1, 1, 0)
    x = noise(1, 1, 5_000)
    offline = causal.encode(x, bandwidth=6.0).audio_codes[0]
    for _ in range(2):
        assert_equal(torch.cat([p.codes for p in encode_stream(encoder, x, [999])], dim=-1), offline)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, s: EncoderStream(m, 7.0), "doesn't support the bandwidth 7.0"),
        (lambda m, s: EncoderStream(m).push(torch.zeros(1, 2, 10)), r"must be \[1, 1, T\]"),
        (lambda m, s: EncoderStream(m).push(torch.zeros(10)), "T], not of shape"),
        (lambda m, s: DecoderStream(m).push(torch.zeros(2, 5, dtype=torch.int64)), r"must be \[B, K, F\]"),
        (lambda m, s: DecoderStream(m).push(torch.full((1, 2, 5), 1024)), "expected 0 to 1023"),
        (lambda m, s: DecoderStream(m).push(torch.zeros(1, 33, 5, dtype=torch.int64)), "1 to 32"),
        (lambda m, s: DecoderStream(m).push(torch.zeros(1, 2, 5, dtype=torch.int64), torch.ones(1, 1)), "no scale"),
        (lambda m, s: DecoderStream(s).push(torch.zeros(1, 2, 15, dtype=torch.int64)), "needs a scale"),
        (lambda m, s: EncoderStream(make(**CAUSAL, use_causal_conv=False)), "can stream"),
    ],
)
def test_errors(causal, segments, call, message):
    with pytest.raises(ValueError, match=message):
        call(causal, segments)


def test_nothing_follows_the_last_segment(segments):
    decoder = DecoderStream(segments)
    decoder.push(torch.zeros(1, 4, 3, dtype=torch.int64), torch.ones(1, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="must be the last"):
        decoder.push(torch.zeros(1, 4, 15, dtype=torch.int64), torch.ones(1, 1, dtype=torch.float64))


def test_autocast_runs_and_changes_few_of_the_first_codes():
    model = make(torch.float32, **CAUSAL)
    x = noise(2, 1, 24_000, dtype=torch.float32)
    exact = model.encode(x, bandwidth=6.0).audio_codes
    with torch.autocast("cpu", torch.bfloat16):
        codes = model.encode(x, bandwidth=6.0).audio_codes
        audio = model.decode(exact, [None]).audio_values
    assert (codes[:, :, 0] == exact[:, :, 0]).float().mean() > 0.5
    expected = model.decode(exact, [None]).audio_values
    assert audio.dtype == expected.dtype
    assert float((audio - expected).norm() / expected.norm()) < 0.1


@pytest.mark.slow
def test_ten_minutes_have_no_seams(tmp_path):
    """Pieces of a second against transformers, which codes the whole clip at once."""
    model = load_model("encodec_24khz_tiny")
    model.save_pretrained(tmp_path)
    reference = transformers.EncodecModel.from_pretrained(tmp_path).eval()
    speech = torch.cat([load(path)[0] for path in sorted(SPEECH.rglob("*.flac"))], dim=1)
    x = resample(speech, 16_000, 24_000).repeat(1, 3)[None, :, : 600 * 24_000 + 123]
    assert x.shape[2] == 600 * 24_000 + 123
    with torch.inference_mode():
        expected = reference.encode(x, bandwidth=1.5)
        pieces = encode_stream(EncoderStream(model, 1.5), x, [24_011])
        codes = torch.cat([piece.codes for piece in pieces], dim=2)
        assert codes.shape == expected.audio_codes[0].shape
        assert (codes == expected.audio_codes[0]).float().mean() >= 0.995
        whole = reference.decode(expected.audio_codes, expected.audio_scales)[0]
        decoder = DecoderStream(model)
        audio_pieces = [decoder.push(part) for part in expected.audio_codes[0].split(75, dim=2)]
        streamed = torch.cat([*audio_pieces, decoder.flush()], dim=2)
    assert streamed.shape == whole.shape
    assert float((streamed - whole).abs().max()) < 1e-4
