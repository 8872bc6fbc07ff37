"""EnCodec as a system under test."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import ClassVar, cast

import torch
from torch import Tensor

import codec
import codec.audio
from codec import weights
from codec.config import EncodecConfig
from codec.ecdc import compress_codes
from codec.lm.model import LanguageModel, language_model_for
from encodec_eval.systems.encodec_line import CONCEALMENTS, encodec_line
from encodec_eval.systems.lines import Line
from encodec_eval.systems.shared import check_device, number, payload_bytes, timed
from encodec_eval.types import Clip, EvalError, Output, Point

BATCH_S = 80.0  # seconds of audio that are decoded at once, which bounds the memory for long clips


@lru_cache(maxsize=4)
def load_encodec(model: str, device: str) -> codec.EncodecModel:
    """The model of that name in evaluation mode, loaded once a process."""
    return codec.load_model(model, device=device).eval()


@lru_cache(maxsize=16)
def read_config(model: str) -> EncodecConfig:
    """The configuration of that model, without its weights, unless its file holds both."""
    if Path(model).suffix == ".th":
        return load_encodec(model, "cpu").config
    return EncodecConfig.from_pretrained(model)


@lru_cache(maxsize=16)
def checkpoint_sha256(model: str) -> str:
    """Of the weights of that model, which are not loaded."""
    return weights.find(model).sha256()


@lru_cache(maxsize=4)
def load_language_model(model: str) -> LanguageModel:
    """The language model that belongs to a codec model. Raises `codec.CheckpointError` if there is none."""
    return language_model_for(model)


@dataclass(frozen=True)
class Encodec:
    """EnCodec at several bandwidths in kbps: encoded once, since a lower bandwidth is the first codebooks of a higher.

    `encode_s` is the time of that one pass at the highest wanted bandwidth. Bandwidths of a model without segments
    are decoded in batches, whose time is shared out evenly. With `lm`, the codes are also entropy-coded with the
    model's language model: the same audio in fewer bytes. `title` stands in the names of points for the model's name.
    Weights are not loaded before audio is processed.
    """

    kind: ClassVar[str] = "encodec"
    packages: ClassVar[tuple[str, ...]] = ()
    concealments: ClassVar[tuple[str, ...]] = CONCEALMENTS
    model: str
    bandwidths: tuple[float, ...] | None = None
    device: str = "cpu"
    lm: bool = False
    title: str = ""

    def __post_init__(self) -> None:
        expected = self.config.target_bandwidths
        for bandwidth in self.bandwidths or ():
            if bandwidth not in expected:
                listed = ", ".join(map(number, expected))
                raise EvalError(f"{self.model} has no bandwidth {number(bandwidth)} kbps; expected {listed}")

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--model", nargs="+", help="EnCodec checkpoints: bundled name, hub id, folder or .th file")
        parser.add_argument(
            "--bandwidths", nargs="+", type=float, metavar="KBPS", help="of EnCodec (default: all it has)"
        )
        parser.add_argument("--lm", action="store_true", help="also measure EnCodec's rate with its language model")

    @classmethod
    def build(cls, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> "list[Encodec]":
        check_device(options.device)
        bandwidths = tuple(options.bandwidths) if options.bandwidths else None
        models = options.model or [weights.default_model()]
        return [cls(model, bandwidths, options.device, options.lm) for model in models]

    def lowest(self, count: int) -> "Encodec":
        """The same with only its lowest bandwidths."""
        return replace(self, bandwidths=tuple(sorted(self.bandwidths or self.config.target_bandwidths)[:count]))

    @property
    def config(self) -> EncodecConfig:
        return read_config(self.model)

    @property
    def loaded(self) -> codec.EncodecModel:
        return load_encodec(self.model, self.device)

    @property
    def language_model(self) -> LanguageModel | None:
        return load_language_model(self.model) if self.lm else None

    @cached_property
    def points(self) -> Sequence[Point]:
        series = self.title or self.model
        bandwidths = sorted(self.bandwidths or self.config.target_bandwidths)
        return [Point(f"{series}@{number(b)}", series, b) for b in bandwidths]

    def describe(self) -> dict[str, object]:
        return {
            "system": "encodec",
            "model": self.model,
            "checkpoint_sha256": checkpoint_sha256(self.model),
            "bandwidths": [point.nominal_kbps for point in self.points],
            "device": self.device,
            "language_model_sha256": self.language_model.sha256 if self.language_model else None,
        }

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        return list(self.outputs(wav, sample_rate, points, together=True))

    def line(self, wav: Tensor, sample_rate: int, packet_s: float) -> Line:
        bandwidth = max(point.nominal_kbps or 0 for point in self.points)
        language_model = partial(load_language_model, self.model)
        return encodec_line(self.loaded, language_model, bandwidth, wav, sample_rate, packet_s)

    @torch.inference_mode()
    def outputs(
        self, wav: Tensor, sample_rate: int, points: Sequence[Point], together: bool = False
    ) -> Iterator[Output]:
        """As `process`, each output as soon as it is there; `together` takes less time for all, more for the first."""
        model, config = self.loaded, self.loaded.config
        wav = codec.audio.to_channels(wav, config.audio_channels)
        wav = codec.audio.resample(wav, sample_rate, config.sampling_rate).to(self.device)
        bandwidths = [point.nominal_kbps for point in points if point.nominal_kbps is not None]
        encode = partial(model.encode, wav[None], bandwidth=max(bandwidths))
        output, encode_s = timed(encode, self.device)
        encoded = cast(codec.EncodecEncoderOutput, output)
        codebooks = [config.codebooks_for(bandwidth) for bandwidth in bandwidths]
        whole = config.chunk_length is None and encoded.audio_scales[0] is None
        decode = self._decode_together if together and whole else self._decode_each
        decoded = decode(encoded, codebooks, wav.shape[-1])
        scales = [float(scale) for scale in encoded.audio_scales if scale is not None]
        pack = partial(compress_codes, model, scales=scales or None, audio_length=wav.shape[-1])
        for point, k, (audio, decode_s) in zip(points, codebooks, decoded, strict=True):
            codes = encoded.audio_codes[:, 0, :k].cpu()
            lm = self.language_model
            coded = pack(codes)
            yield Output(
                point=point,
                audio=audio.cpu(),
                sample_rate=config.sampling_rate,
                payload_bytes=payload_bytes(codes, encoded.last_frame_pad_length, config.codebook_size, bool(scales)),
                file_bytes=len(coded),
                entropy_bytes=len(pack(codes, lm=lm)) if lm else None,
                encode_s=encode_s,
                decode_s=decode_s,
                codes=codes,
                scales=scales or None,
                coded=coded,
                suffix=".ecdc",
            )

    def _decode_together(
        self, encoded: codec.EncodecEncoderOutput, codebooks: list[int], samples: int
    ) -> Iterator[tuple[Tensor, float]]:
        """The audio `[C, T]` for each count of codebooks from one batch, and the seconds of each one's share."""
        model, codes = self.loaded, encoded.audio_codes
        latents = torch.cat([model.quantizer.decode(codes[0, :, :k].transpose(0, 1)) for k in codebooks])
        for batch in torch.split(latents, max(1, int(BATCH_S * model.config.sampling_rate / samples))):
            audio, seconds = timed(partial(model.decoder, batch), self.device)
            for wav in audio:
                yield wav[:, :samples], seconds / len(batch)

    def _decode_each(
        self, encoded: codec.EncodecEncoderOutput, codebooks: list[int], samples: int
    ) -> Iterator[tuple[Tensor, float]]:
        """The audio `[C, T]` for each count of codebooks, one after the other, and the seconds it took."""
        scales, padding = encoded.audio_scales, encoded.last_frame_pad_length
        for k in codebooks:
            decode = partial(self.loaded.decode, encoded.audio_codes[:, :, :k], scales, last_frame_pad_length=padding)
            output, seconds = timed(decode, self.device)
            yield cast(codec.EncodecDecoderOutput, output).audio_values[0, :, :samples], seconds


SYSTEMS = [Encodec]
