"""`.ecdc` files: bytes of `encodec` in both directions, our portable format, and damage of every kind."""

import contextlib
import importlib
import io
import json
import struct
import zlib

import encodec.model
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import codec
from codec import ecdc
from codec.ecdc import container
from codec.ecdc.container import SEGMENT_FRAMES, Segment, Writer, read
from codec.ecdc.header import Header, read_header
from codec.errors import EcdcError
from codec.lm.model import LanguageModel, LanguageModelConfig
from tests.codec.ecdc.corpus import LM
from tests.oracles import make_trio, noise

oracle = importlib.import_module("encodec.compress")
SMALL = LanguageModelConfig(dim=40, heads=4, layers=2, feed_forward=64, context=20)


def language_model(size: int = 1024, codebooks: int = 32, seed: int = 0) -> tuple[LanguageModel, encodec.model.LMModel]:
    torch.manual_seed(seed)
    theirs = encodec.model.LMModel(
        codebooks, size, dim=40, num_heads=4, num_layers=2, hidden_scale=1.6, past_context=20
    ).eval()
    for head in theirs.linears:
        torch.nn.init.normal_(head.weight, std=0.5)
    sizes = LanguageModelConfig(codebooks, size, 40, 4, 2, 64, 20)
    ours = LanguageModel(sizes, "lm").eval().requires_grad_(False)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.fixture(scope="module")
def trios(tmp_path_factory):
    return {kind: make_trio(kind, tmp_path_factory.mktemp(kind), torch.float64) for kind in ("24khz", "48khz")}


@pytest.fixture
def installed(trios, monkeypatch):
    """`encodec.compress` with our weights under the names it knows."""
    ours, theirs = language_model()
    for kind, trio in trios.items():
        monkeypatch.setitem(oracle.MODELS, f"encodec_{kind}", lambda model=trio.facebook: model)
    monkeypatch.setattr(encodec.model.EncodecModel, "get_lm_model", lambda self: theirs)
    return ours


@pytest.mark.parametrize("use_lm", [False, True])
@pytest.mark.parametrize(
    ("kind", "length"), [("24khz", n) for n in (1, 320, 9000)] + [("48khz", n) for n in (1, 50_000)]
)
def test_bytes_and_audio_of_encodec_in_both_directions(trios, installed, kind, length, use_lm):
    trio = trios[kind]
    bandwidth = 6.0
    trio.facebook.set_target_bandwidth(bandwidth)
    wav = noise(trio.ours.config.audio_channels, length)
    expected = oracle.compress(trio.facebook, wav, use_lm=use_lm)
    data = codec.compress(trio.ours, wav, bandwidth, installed if use_lm else None, compatible=True)
    assert data == expected
    heard, rate = codec.decompress(expected, trio.ours, installed)
    theirs, their_rate = oracle.decompress(data)
    assert rate == their_rate
    assert heard.shape == theirs.shape == wav.shape
    assert (heard - theirs).abs().max() < 1e-9


def test_a_length_whose_frames_encodec_0_1_1_miscounts(trios, installed):
    """6,720 samples are 21 frames; 0.1.1 expects 22 and dies on its own file. We read it."""
    trio = trios["24khz"]
    trio.facebook.set_target_bandwidth(1.5)
    wav = noise(1, 6720)
    data = oracle.compress(trio.facebook, wav)
    with pytest.raises(EOFError):
        oracle.decompress(data)
    assert data == codec.compress(trio.ours, wav, 1.5)
    assert codec.decompress(data, trio.ours)[0].shape == (1, 6720)


@pytest.mark.parametrize(("kind", "length"), [("24khz", 5000), ("48khz", 100_000)])
def test_portable_files_hold_the_same_codes(trios, installed, kind, length):
    model = trios[kind].ours
    wav = noise(model.config.audio_channels, length)
    plain = codec.decompress(codec.compress(model, wav, 6.0), model)
    portable = codec.decompress(codec.compress(model, wav, 6.0, installed), model, installed)
    assert torch.equal(plain[0], portable[0])
    assert portable[1] == model.config.sampling_rate


def test_no_audio_at_all(trios, installed):
    for trio in trios.values():
        channels = trio.ours.config.audio_channels
        for lm in (None, installed):
            data = codec.compress(trio.ours, torch.zeros(channels, 0), 6.0, lm)
            assert codec.decompress(data, trio.ours, lm)[0].shape == (channels, 0)


def tiny_config(chunked: bool) -> codec.EncodecConfig:
    chunks = (
        {"chunk_length_s": 0.5, "overlap": 0.02, "normalize": True, "norm_type": "time_group_norm"} if chunked else {}
    )
    return codec.EncodecConfig(
        target_bandwidths=(0.6, 1.2),
        sampling_rate=1000,
        upsampling_ratios=(5, 2),
        codebook_size=64,
        num_filters=2,
        **chunks,
    )


def file_of(codes: torch.Tensor, config: codec.EncodecConfig, lm=None, version: int = 0, scale: float = 0.5) -> bytes:
    """A file of `codes [K, F]`, cut into the model's segments; F must be a whole number of them."""
    length = codes.shape[-1] * config.hop_length
    writer = Writer(Header(version, "toy", 0, len(codes), lm is not None, "", "lm" if version else ""), config, lm)
    start = 0
    if config.chunk_length is not None:
        length = sum(1 for _ in range(0, codes.shape[-1], 50)) * config.chunk_stride
    for frames in container.segment_frames(config, length):
        piece = codes[:, start : start + frames]
        writer.add(
            Segment(torch.nn.functional.pad(piece, (0, frames - piece.shape[1])), scale if config.normalize else None)
        )
        start += frames
    file = io.BytesIO()
    writer.finish(file, length)
    return file.getvalue()


def codes_of(data: bytes, config: codec.EncodecConfig, lm=None, **options) -> list[Segment]:
    file = io.BytesIO(data)
    return list(read(file, read_header(file), config, lm, **options))


@settings(deadline=None)
@given(frames=st.integers(0, 2000), codebooks=st.integers(1, 2), seed=st.integers(0, 99))
def test_packed_codes_come_back(frames, codebooks, seed):
    config = tiny_config(chunked=False)
    codes = torch.randint(64, (codebooks, frames), generator=torch.Generator().manual_seed(seed))
    pieces = codes_of(file_of(codes, config), config)
    assert torch.equal(torch.cat([codes[:, :0], *(piece.codes for piece in pieces)], dim=1), codes)


@pytest.mark.parametrize(
    "lengths",
    [
        range(40),
        (255, 256, 257, 511, 513, 1503, 1504, 1505, 2000),
        pytest.param(range(40, 2000, 37), marks=pytest.mark.slow),
    ],
    ids=["short", "around the sizes of chunks and segments", "spread"],
)
@pytest.mark.parametrize("codebooks", [1, 2])
def test_portable_codes_come_back(lengths, codebooks):
    config, lm = tiny_config(chunked=False), LM
    for frames in lengths:
        codes = torch.randint(64, (codebooks, frames), generator=torch.Generator().manual_seed(frames))
        pieces = codes_of(file_of(codes, config, lm, version=1), config, lm)
        heard = torch.cat([codes[:, :0], *(piece.codes for piece in pieces)], dim=1)
        assert torch.equal(heard, codes), f"{frames} frames"


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("every", [31, pytest.param(1, marks=pytest.mark.slow)])
def test_truncations_flips_and_extensions_of_an_entropy_coded_file(version, every):
    config, (lm, _) = tiny_config(chunked=True), language_model(64, 2)
    codes = torch.randint(64, (2, 100), generator=torch.Generator().manual_seed(0))
    data = file_of(codes, config, lm, version)
    whole = codes_of(data, config, lm)
    for size in range(0, len(data), every):
        with pytest.raises(EcdcError):
            codes_of(data[:size], config, lm)
    with pytest.raises(EcdcError, match="bytes follow"):
        codes_of(data + b"\0", config, lm)
    for bit in range(0, 8 * len(data), every if version else 30 + every):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        if version:
            with pytest.raises(EcdcError):
                codes_of(bytes(flipped), config, lm)
            continue
        with contextlib.suppress(EcdcError):
            assert len(codes_of(bytes(flipped), config, lm)) == len(whole)


def test_damaged_segments_are_named_and_the_others_decode():
    config, (lm, _) = tiny_config(chunked=True), language_model(64, 2)
    codes = torch.randint(64, (2, 150), generator=torch.Generator().manual_seed(0))
    data = file_of(codes, config, lm, version=1)
    whole = codes_of(data, config, lm)
    header = read_header(io.BytesIO(data))
    first = len(data) - sum(size for size, _ in header.entries)
    damaged = bytearray(data)
    damaged[first + header.entries[0][0] + 6] ^= 4
    with pytest.raises(EcdcError, match=f"segment 1 of {len(whole)} is damaged: its checksum differs"):
        codes_of(bytes(damaged), config, lm)
    pieces = codes_of(bytes(damaged), config, lm, skip_damaged=True)
    assert [piece.codes is None for piece in pieces] == [number == 1 for number in range(len(whole))]
    assert all(torch.equal(a.codes, b.codes) for a, b in zip(pieces, whole, strict=True) if a.codes is not None)
    file = io.BytesIO(bytes(damaged))
    assert container.damaged_segments(file, read_header(file)) == [1]


def test_swapped_segments_are_damage():
    config, (lm, _) = tiny_config(chunked=False), language_model(64, 2)
    codes = torch.randint(64, (2, 2 * SEGMENT_FRAMES), generator=torch.Generator().manual_seed(0))
    data = file_of(codes, config, lm, version=1)
    (size, _), (other_size, _) = read_header(io.BytesIO(data)).entries
    head = len(data) - size - other_size
    swapped = io.BytesIO(data[:head] + data[head + size :] + data[head : head + size])
    with pytest.raises(EcdcError, match="segment 0 of 2 is damaged"):
        list(read(swapped, read_header(swapped), config, lm))


def test_skipping_makes_silence_and_says_so(trios, installed, caplog):
    model = trios["48khz"].ours
    wav = noise(2, 140_000)
    data = codec.compress(model, wav, 3.0, installed)
    damaged = bytearray(data)
    header = read_header(io.BytesIO(data))
    assert len(header.entries) == 3
    damaged[-header.entries[2][0] - 3] ^= 1
    with pytest.raises(EcdcError, match="segment 1 of 3"):
        codec.decompress(bytes(damaged), model, installed)
    expected = codec.decompress(data, model, installed)[0]
    heard = codec.decompress(bytes(damaged), model, installed, skip_damaged=True)[0]
    assert caplog.messages == ["segment 1 of 3 is damaged: its checksum differs; it is silent"]
    assert torch.equal(heard[:, :47_520], expected[:, :47_520])
    assert not heard[:, 47_520:95_040].any()
    assert torch.equal(heard[:, 95_520:], expected[:, 95_520:])


def with_header(values: object, version: int = 0, body: bytes = b"") -> bytes:
    text = values if isinstance(values, bytes) else json.dumps(values).encode()
    return struct.pack("!4sBI", b"ECDC", version, len(text)) + text + body


GOOD = {"m": "toy", "al": 100, "nc": 1, "lm": False}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends within the header"),
        (b"RIFF" + bytes(20), "not an .ecdc file"),
        (with_header(GOOD, version=2), "version 2 is unknown"),
        (struct.pack("!4sBI", b"ECDC", 0, 2**32 - 1), "at most 4096"),
        (with_header(b"{"), "not JSON"),
        (with_header(b"[" * 4000), "not JSON"),
        (with_header(b"\xff\xfe\x00"), "not JSON"),
        (with_header([1]), "not a JSON object"),
        (with_header(GOOD | {"al": -1}), "'al' must be an integer from 0"),
        (with_header(GOOD | {"al": 10**15}), "'al' must be an integer from 0"),
        (with_header(GOOD | {"al": True}), "'al' must be an integer"),
        (with_header(GOOD | {"al": 1e3}), "'al' must be an integer"),
        (with_header(b'{"m": "toy", "al": NaN, "nc": 1, "lm": false}'), "'al' must be an integer"),
        (with_header({"m": "toy", "nc": 1, "lm": False}), "'al' must be an integer"),
        (with_header(GOOD | {"nc": 0}), "'nc' must be an integer from 1"),
        (with_header(GOOD | {"nc": 3}, body=bytes(100)), "claims 3 codebooks; the model has 2"),
        (with_header(GOOD | {"m": 5}), "'m' must be a short text"),
        (with_header(GOOD | {"m": "\x1b[2J"}), "'m' must be a short text"),
        (with_header(GOOD | {"lm": 1}), "'lm' must be true or false"),
        (with_header(GOOD | {"al": 10**12}, body=bytes(100)), "ends within the codes"),
        (with_header(GOOD | {"lm": True, "ns": 10**11}, version=1), "ends within the table"),
        (with_header(GOOD, body=b"\0" * 7 + b"\xf0"), "not zero"),
        (with_header(GOOD, body=bytes(9)), "bytes follow"),
    ],
)
def test_hostile_headers(data, message):
    with pytest.raises(EcdcError, match=message):
        codes_of(data, tiny_config(chunked=False))


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -1.0, 0.0, 1e30])
def test_scales_no_audio_has(scale):
    config = tiny_config(chunked=True)
    body = struct.pack("!f", scale) + bytes(100)
    with pytest.raises(EcdcError, match="scale must be above 0"):
        codes_of(with_header(GOOD, body=body), config)
    with pytest.raises(EcdcError, match="scale must be above 0"):
        file_of(torch.zeros(1, 50, dtype=torch.int64), config, scale=scale)


def test_segment_count_that_contradicts_the_length():
    text = json.dumps(GOOD | {"lm": True, "ns": 0, "ms": "", "ln": "lm", "ls": ""}).encode()
    data = struct.pack("!4sBI", b"ECDC", 1, len(text)) + text
    data += struct.pack("!I", zlib.crc32(data))
    with pytest.raises(EcdcError, match="lists 0 segments; 100 samples"):
        codes_of(data, tiny_config(chunked=False), language_model(64, 2)[0])


def test_models_that_do_not_fit(trios, installed):
    small, large = trios["24khz"].ours, trios["48khz"].ours
    data = codec.compress(small, noise(1, 400), 6.0, installed)
    with pytest.raises(EcdcError, match="made with model 'encodec_24khz', not 'encodec_48khz'"):
        codec.decompress(data, large, installed)
    other, _ = language_model(seed=1)
    with pytest.raises(
        EcdcError, match=f"needs language model lm {installed.sha256[:8]}; this one is lm {other.sha256[:8]}"
    ):
        codec.decompress(data, small, other)
    with pytest.raises(EcdcError, match="for 2 codebooks of 64"):
        codec.compress(small, noise(1, 400), 6.0, language_model(64, 2)[0])
    foreign = LanguageModel(SMALL, "foreign", codec_sha256="0" * 64)
    with pytest.raises(EcdcError, match="belongs to codec checkpoint 00000000"):
        codec.compress(small, noise(1, 400), 6.0, foreign)
    with pytest.raises(EcdcError, match=r"needs model '\.\./evil'"):
        codec.decompress(with_header(GOOD | {"m": "../evil"}, body=bytes(8)))
    with pytest.raises(EcdcError, match=r"takes audio \[1, T\], not \[2, 5\]"):
        codec.compress(small, torch.zeros(2, 5), 6.0)
    with pytest.raises(EcdcError, match="NaN"):
        codec.compress(small, torch.full((1, 500), torch.nan), 6.0)
    with pytest.raises(EcdcError, match="bandwidth 7"):
        codec.compress(small, torch.zeros(1, 5), 7.0)


def test_description(trios, installed):
    model = trios["24khz"].ours
    text = ecdc.describe(io.BytesIO(codec.compress(model, noise(1, 24_000), 6.0, installed)), model)
    assert text["duration"].startswith("1.000 s")
    assert text["codebooks"] == "8"
    assert text["nominal bitrate"] == "6.000 kbps"
    assert text["language model"] == f"lm {installed.sha256[:8]}"
    assert text["checksums"] == "ok"
