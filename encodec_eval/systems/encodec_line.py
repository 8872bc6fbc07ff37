"""EnCodec over a line: packets of frames at 24 kHz, of one segment at 48 kHz."""

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor

import codec
import codec.audio
from codec.concealment import Concealment, MostProbable, Repeat, TowardsZero
from codec.ecdc.bitpack import pack, unpack
from codec.lm.model import LanguageModel
from codec.packets import PacketDecoder, PacketFormat
from encodec_eval.systems.lines import Line
from encodec_eval.systems.shared import number, timed
from encodec_eval.types import EvalError, Point

CONCEALMENTS = ("repeat", "zero", "lm", "copy1", "copy2", "copy4")
SEGMENT_FADE = 0.5  # from repeated segment to segment
MAX_SCALE = 1.0


class FrameLine:
    """A causal model: packets of whole frames."""

    def __init__(
        self,
        model: codec.EncodecModel,
        language_model: Callable[[], LanguageModel],
        encoded: codec.EncodecEncoderOutput,
        samples: int,
        packet_s: float,
    ) -> None:
        self._model, self._language_model = model, language_model
        self._codes, self._samples = encoded.audio_codes[0], samples
        self.sample_rate, self.packet_s, self.encode_s = model.config.sampling_rate, packet_s, 0.0
        frames = packet_s * model.config.sampling_rate / model.config.hop_length
        if round(frames) < 1 or abs(frames - round(frames)) > 1e-6:
            frame_ms = 1000 * model.config.hop_length / model.config.sampling_rate
            raise EvalError(f"packets of {number(1000 * packet_s)} ms are no whole frames of {frame_ms:.2f} ms")
        self._frames = round(frames)

    def _form(self, point: Point, concealment: str) -> PacketFormat:
        config = self._model.config
        codebooks = config.codebooks_for(point.nominal_kbps)
        copies = int(concealment.removeprefix("copy")) if concealment.startswith("copy") else 0
        return PacketFormat(self._frames, codebooks, min(copies, codebooks), config.codebook_nbits)

    def _concealment(self, name: str) -> Concealment:
        if name == "lm":
            return MostProbable(self._language_model())
        return TowardsZero() if name == "zero" else Repeat()

    def packets(self, point: Point, concealment: str) -> list[bytes]:
        form = self._form(point, concealment)
        return form.pack(self._codes[0, : form.codebooks].cpu())

    def decode(self, point: Point, concealment: str, arrived: Sequence[bytes | None]) -> Tensor:
        decoder = PacketDecoder(self._model, self._form(point, concealment), self._concealment(concealment))
        audio = torch.cat([*map(decoder.receive, arrived), decoder.finish()], dim=-1)
        return audio[0, :, : self._samples]


class SegmentLine:
    """A model with segments: a packet is a segment's scale and codes. What is lost is heard again, half as loud."""

    def __init__(self, model: codec.EncodecModel, encoded: codec.EncodecEncoderOutput, samples: int) -> None:
        self._model, self._encoded, self._samples = model, encoded, samples
        config = model.config
        self.sample_rate, self.encode_s = config.sampling_rate, 0.0
        self.packet_s = config.segment_stride / config.sampling_rate

    def packets(self, point: Point, concealment: str) -> list[bytes]:
        if concealment not in ("repeat", "zero"):
            raise EvalError(f"a model with segments has no {concealment}; expected repeat or zero")
        config = self._model.config
        codebooks = config.codebooks_for(point.nominal_kbps)
        padding, codes = self._encoded.last_frame_pad_length, self._encoded.audio_codes[:, 0, :codebooks].cpu()
        packets = []
        for n, (segment, scale) in enumerate(zip(codes, self._encoded.audio_scales, strict=True)):
            kept = segment[:, : segment.shape[-1] - padding] if n == len(codes) - 1 else segment
            head = b"" if scale is None else struct.pack("!f", float(scale))
            packets.append(head + pack(kept.t().numpy(), config.codebook_nbits))
        return packets

    def decode(self, point: Point, concealment: str, arrived: Sequence[bytes | None]) -> Tensor:
        config = self._model.config
        codebooks, stream, audio = config.codebooks_for(point.nominal_kbps), codec.DecoderStream(self._model), []
        lengths = [config.frames(span.stop - span.start) for span in config.segments(self._samples)]
        codes, scale = torch.zeros(1, codebooks, max(lengths), dtype=torch.int64), 0.0
        for frames, packet in zip(lengths, arrived, strict=True):
            if packet is None:
                scale *= SEGMENT_FADE if concealment == "repeat" else 0.0
            else:
                head = 4 * config.normalize
                scale = sane(struct.unpack("!f", packet[:head])[0]) if head else 1.0
                values = unpack(packet[head:], frames * codebooks, config.codebook_nbits) % config.codebook_size
                codes = torch.from_numpy(values.reshape(-1, codebooks).T.copy())[None]
            padded = torch.nn.functional.pad(codes, (0, max(0, frames - codes.shape[-1])))[..., :frames]
            factor = torch.full((1, 1), scale, dtype=self._model.dtype) if config.normalize else None
            audio.append(stream.push(padded.to(self._model.device), factor))
        return torch.cat([*audio, stream.flush()], dim=-1)[0, :, : self._samples]


def sane(scale: float) -> float:
    """A scale whose bits may have flipped: none is louder than noise at full scale could be."""
    return min(max(scale, 0.0), MAX_SCALE) if scale == scale else 0.0


@torch.inference_mode()
def encodec_line(
    model: codec.EncodecModel,
    language_model: Callable[[], LanguageModel],
    bandwidth: float,
    wav: Tensor,
    sample_rate: int,
    packet_s: float,
) -> Line:
    """Encode `wav [C, T]` at the highest bandwidth, whose first codebooks are the lower ones."""
    config = model.config
    wav = codec.audio.to_channels(wav, config.audio_channels)
    wav = codec.audio.resample(wav, sample_rate, config.sampling_rate).to(model.device)
    encoded, encode_s = timed(partial(model.encode, wav[None], bandwidth=bandwidth), str(model.device))
    encoded = cast(codec.EncodecEncoderOutput, encoded)
    line: Line
    if config.segmented:
        line = SegmentLine(model, encoded, wav.shape[-1])
    else:
        line = FrameLine(model, language_model, encoded, wav.shape[-1], packet_s)
    line.encode_s = encode_s
    return line
