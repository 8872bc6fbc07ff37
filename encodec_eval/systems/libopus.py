"""Opus packet by packet through libopus, with its own means against losses. Needs the extra [line] and Debian's
libopus0."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from encodec_eval.systems.classical import at_allowed_rate
from encodec_eval.systems.shared import number, timed
from encodec_eval.types import Clip, EvalError, Output, Point

FRAMES_MS = (10, 20, 40, 60)
EXPECTED_LOSS = 10  # per cent, told to the encoder: what it spends on the copies in the next packet


def library() -> Any:
    """The binding. Raises `EvalError` where it or the library is missing."""
    try:
        import opuslib_next
        import opuslib_next.api.info
    except Exception as error:  # it raises a plain one where there is no library
        raise EvalError(
            "Opus in packets needs libopus (Debian: apt install libopus0) and pip install 'encodec-tools[line]'"
        ) from error
    return opuslib_next


def version() -> str | None:
    """That of libopus, None where it is missing."""
    try:
        return str(library().api.info.get_version_string().decode())
    except EvalError:
        return None


@dataclass(frozen=True)
class PacketOpus:
    """Opus of libopus in packets of one frame each: at variable rates, or at a hard constant one.

    What a receiver does about a loss: `fec`, the coarse copy of the last packet that the next one brings (the encoder
    is told to expect 10 % of losses, and pays for the copies within its rate), and concealment where that is lost too;
    `plc`, concealment alone, without copies.
    """

    kind: ClassVar[str] = "libopus"
    packages: ClassVar[tuple[str, ...]] = ("opuslib-next",)
    concealments: ClassVar[tuple[str, ...]] = ("fec", "plc")
    kbps: tuple[float, ...] = (6, 8, 12, 16, 24)
    vbr: bool = True

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """Those of Opus."""

    @classmethod
    def build(cls, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> "list[PacketOpus]":
        kbps = tuple(options.opus_kbps or cls.kbps)
        return [cls(kbps, vbr) for vbr in (True, False)]

    @property
    def points(self) -> Sequence[Point]:
        series = "opus-vbr" if self.vbr else "opus-cbr"
        return [Point(f"{series}@{number(k)}", series, k) for k in sorted(self.kbps)]

    def describe(self) -> dict[str, object]:
        return {"system": "libopus", "kbps": sorted(self.kbps), "vbr": self.vbr, "libopus": version()}

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        line, outputs = self.line(wav, sample_rate, 0.02), []
        for point in points:
            packets, encode_s = timed(lambda point=point: line.packets(point, "plc"))  # type: ignore[misc]
            audio, decode_s = timed(lambda point=point, packets=packets: line.decode(point, "plc", packets))  # type: ignore[misc]
            size = sum(map(len, packets))
            outputs.append(Output(point, audio, line.sample_rate, size, encode_s=encode_s, decode_s=decode_s))
        return outputs

    def line(self, wav: Tensor, sample_rate: int, packet_s: float) -> "OpusLine":
        library()
        if not any(abs(1000 * packet_s - frame) < 1e-6 for frame in FRAMES_MS):
            expected = ", ".join(map(number, FRAMES_MS))
            raise EvalError(f"Opus has no packets of {number(1000 * packet_s)} ms; expected {expected}")
        wav, rate = at_allowed_rate(wav[:2], sample_rate, (8000, 12000, 16000, 24000, 48000))
        return OpusLine(wav, rate, packet_s, self.vbr)


class OpusLine:
    """A clip between encoder and decoder of libopus; see `encodec_eval.systems.lines.Line`."""

    def __init__(self, wav: Tensor, sample_rate: int, packet_s: float, vbr: bool) -> None:
        self.sample_rate, self.packet_s, self.encode_s = sample_rate, packet_s, 0.0
        self._wav, self._vbr = wav, vbr
        self._frame = round(packet_s * sample_rate)
        self._channels = len(wav)
        self._sent: dict[tuple[float, bool], list[bytes]] = {}

    def _encoder(self, kbps: float, copies: bool) -> Any:
        encoder = library().Encoder(self.sample_rate, self._channels, "voip")
        encoder.bitrate = round(1000 * kbps)
        encoder.vbr = int(self._vbr)
        encoder.inband_fec = int(copies)
        encoder.packet_loss_perc = EXPECTED_LOSS if copies else 0
        return encoder

    @cached_property
    def lookahead(self) -> int:
        """Samples by which decoded audio comes late."""
        return int(self._encoder(12, False).lookahead)

    def packets(self, point: Point, concealment: str) -> list[bytes]:
        key = point.nominal_kbps or 0, concealment == "fec"
        if key not in self._sent:
            self._sent[key], self.encode_s = timed(lambda: self._encode(*key))
        return self._sent[key]

    def _encode(self, kbps: float, copies: bool) -> list[bytes]:
        encoder = self._encoder(kbps, copies)
        samples = self._wav.shape[-1] + self.lookahead
        padded = torch.nn.functional.pad(self._wav, (0, -samples % self._frame + self.lookahead))
        frames = padded.T.contiguous().numpy().astype(np.float32).reshape(-1, self._frame * self._channels)
        return [bytes(encoder.encode_float(frame.tobytes(), self._frame)) for frame in frames]

    def decode(self, point: Point, concealment: str, arrived: Sequence[bytes | None]) -> Tensor:
        decoder, heard = library().Decoder(self.sample_rate, self._channels), []
        for n, packet in enumerate(arrived):
            following = arrived[n + 1] if n + 1 < len(arrived) else None
            if packet is not None:
                heard.append(self._frame_of(decoder, packet, False))
            elif following is not None and concealment == "fec":
                heard.append(self._frame_of(decoder, following, True))
            else:
                heard.append(self._frame_of(decoder, b"", False))
        audio = np.concatenate(heard).reshape(-1, self._channels).T
        return torch.from_numpy(audio[:, self.lookahead : self.lookahead + self._wav.shape[-1]].copy())

    def _frame_of(self, decoder: Any, packet: bytes, copy: bool) -> Any:
        """A frame's samples, channels interleaved. A packet that flipped bits have made none counts as lost."""
        try:
            data = decoder.decode_float(packet, self._frame, copy)
        except library().OpusError:
            data = decoder.decode_float(b"", self._frame, False)
        samples = np.frombuffer(data, np.float32)[: self._frame * self._channels]
        return np.pad(samples, (0, self._frame * self._channels - len(samples)))


SYSTEMS = [PacketOpus]
