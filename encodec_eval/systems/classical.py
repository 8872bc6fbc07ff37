"""Opus and MP3 through libsndfile, in memory."""

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import soundfile as sf
import torch
from torch import Tensor

import codec.audio
from encodec_eval.systems.shared import any_stereo, number, timed
from encodec_eval.types import Clip, EvalError, Output, Point


@dataclass(frozen=True)
class Opus:
    """Opus in Ogg at variable rates, all channels together. The rates are asked for; the bytes tell the real ones."""

    kind: ClassVar[str] = "opus"
    packages: ClassVar[tuple[str, ...]] = ()
    kbps: tuple[float, ...] = (6, 8, 12, 16, 24)

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--opus-kbps", nargs="+", type=float, metavar="KBPS", help="bitrates of Opus")

    @classmethod
    def build(cls, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> "list[Opus]":
        return [cls(tuple(options.opus_kbps or ((12, 24, 48) if any_stereo(clips) else cls.kbps)))]

    @property
    def points(self) -> Sequence[Point]:
        return [Point(f"opus@{number(k)}", "opus", k) for k in sorted(self.kbps)]

    def describe(self) -> dict[str, object]:
        return {"system": "opus", "kbps": sorted(self.kbps), "libsndfile": sf.__libsndfile_version__}

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        wav, rate = at_allowed_rate(wav, sample_rate, (8000, 12000, 16000, 24000, 48000))
        outputs = []
        for point in points:
            channel_kbps = (point.nominal_kbps or 0) / wav.shape[0]
            if not 6 <= channel_kbps <= 256:
                raise EvalError(f"opus cannot do {number(channel_kbps)} kbps a channel; expected 6 to 256")
            level = (256 - channel_kbps) / 250
            options = {"format": "OGG", "subtype": "OPUS", "compression_level": level}
            outputs.append(through_soundfile(point, wav, rate, ogg_payload_bytes, options))
        return outputs


@dataclass(frozen=True)
class Mp3:
    """MP3 at constant rates (LAME)."""

    kind: ClassVar[str] = "mp3"
    packages: ClassVar[tuple[str, ...]] = ()
    kbps: tuple[float, ...] = (32, 64)

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--mp3-kbps", nargs="+", type=float, metavar="KBPS", help="bitrates of MP3")

    @classmethod
    def build(cls, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> "list[Mp3]":
        return [cls(tuple(options.mp3_kbps or ((48, 64, 96) if any_stereo(clips) else cls.kbps)))]

    @property
    def points(self) -> Sequence[Point]:
        return [Point(f"mp3@{number(k)}", "mp3", k) for k in sorted(self.kbps)]

    def describe(self) -> dict[str, object]:
        return {"system": "mp3", "kbps": sorted(self.kbps), "libsndfile": sf.__libsndfile_version__}

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        wav, rate = at_allowed_rate(wav, sample_rate, (16000, 22050, 24000, 32000, 44100, 48000))
        low, high = (8, 160) if rate < 32000 else (32, 320)  # MPEG-2 and MPEG-1 layer III
        outputs = []
        for point in points:
            kbps = point.nominal_kbps or 0
            if not low <= kbps <= high:
                raise EvalError(f"mp3 cannot do {number(kbps)} kbps at {rate} Hz; expected {low} to {high}")
            level = min((high - kbps) / (high - low), 0.9999)  # libsndfile refuses 1
            options = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": level}
            output = through_soundfile(point, wav, rate, len, options)
            outputs.append(replace(output, audio=without_delay(output.audio, wav.shape[-1])))
        return outputs


def without_delay(decoded: Tensor, samples: int) -> Tensor:
    """Decoded MP3 `[C, T]` as long as what was encoded.

    LAME writes a header without its delay at low rates: the decoder then leaves the delay of encoder and decoder in
    front (576 + 529 samples) and padding behind.
    """
    start = 1105 if decoded.shape[-1] > samples else 0
    return decoded[:, start : start + samples]


def at_allowed_rate(wav: Tensor, sample_rate: int, rates: Sequence[int]) -> tuple[Tensor, int]:
    """The audio at its own rate if the codec has it, else at the next higher one, else at the highest."""
    target = min((rate for rate in rates if rate >= sample_rate), default=max(rates))
    return codec.audio.resample(wav, sample_rate, target), target


def through_soundfile(
    point: Point, wav: Tensor, sample_rate: int, payload_bytes: Callable[[bytes], int], options: dict[str, Any]
) -> Output:
    """Encode `wav [C, T]` in memory with libsndfile's `options`, and decode it again."""
    buffer = io.BytesIO()
    _, encode_s = timed(lambda: sf.write(buffer, wav.numpy().T, sample_rate, **options))
    data = buffer.getvalue()
    (decoded, rate), decode_s = timed(lambda: sf.read(io.BytesIO(data), dtype="float32", always_2d=True))
    return Output(
        point=point,
        audio=torch.from_numpy(decoded.T.copy()),
        sample_rate=rate,
        payload_bytes=payload_bytes(data),
        file_bytes=len(data),
        encode_s=encode_s,
        decode_s=decode_s,
        coded=data,
        suffix={"OGG": ".opus", "MP3": ".mp3"}[options["format"]],
    )


def ogg_payload_bytes(data: bytes) -> int:
    """Bytes of the packets in an Ogg stream, without page headers and the two Opus headers (RFC 3533, RFC 7845)."""
    position, packets, open_packet = 0, [], 0
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            raise EvalError(f"no Ogg page at byte {position}")
        lacing = data[position + 27 : position + 27 + data[position + 26]]
        for length in lacing:
            open_packet += length
            if length < 255:
                packets.append(open_packet)
                open_packet = 0
        position += 27 + len(lacing) + sum(lacing)
    return sum(packets[2:])


SYSTEMS = [Opus, Mp3]
