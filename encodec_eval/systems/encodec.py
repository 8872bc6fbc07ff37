"""EnCodec as a system under test."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import ClassVar, TypeVar, cast

import torch
from torch import Tensor

import codec
import codec.audio
from codec.ecdc import compress_codes
from codec.lm.model import LanguageModel, language_model_for
from encodec_eval.types import Clip, EvalError, Output, Point

T = TypeVar("T")
BATCH_S = 80.0  # seconds of audio that are decoded at once, which bounds the memory for long clips


def number(value: float) -> str:
    """A number as it stands in names: 6, 1.5."""
    return f"{value:g}"


def timed(work: Callable[[], T], device: str = "cpu") -> tuple[T, float]:
    """What `work` returns, and the seconds it took."""
    start = time.perf_counter()
    result = work()
    if not device.startswith("cpu"):
        torch.cuda.synchronize()
    return result, time.perf_counter() - start


@lru_cache(maxsize=4)
def load_encodec(model: str, device: str) -> codec.EncodecModel:
    """The model of that name in evaluation mode, loaded once a process."""
    return codec.load_model(model, device=device).eval()


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
    """

    packages: ClassVar[tuple[str, ...]] = ()
    model: str
    bandwidths: tuple[float, ...] | None = None
    device: str = "cpu"
    lm: bool = False
    title: str = ""

    def __post_init__(self) -> None:
        allowed = self.loaded.config.target_bandwidths
        for bandwidth in self.bandwidths or ():
            if bandwidth not in allowed:
                listed = ", ".join(map(number, allowed))
                raise EvalError(f"{self.model} has no bandwidth {number(bandwidth)} kbps; allowed are {listed}")

    @property
    def loaded(self) -> codec.EncodecModel:
        return load_encodec(self.model, self.device)

    @property
    def language_model(self) -> LanguageModel | None:
        return load_language_model(self.loaded.name) if self.lm else None

    @cached_property
    def points(self) -> Sequence[Point]:
        series = self.title or self.loaded.name
        bandwidths = sorted(self.bandwidths or self.loaded.config.target_bandwidths)
        return [Point(f"{series}@{number(b)}", series, b) for b in bandwidths]

    def describe(self) -> dict[str, object]:
        return {
            "system": "encodec",
            "model": self.loaded.name,
            "checkpoint_sha256": self.loaded.checkpoint_sha256,
            "bandwidths": [point.nominal_kbps for point in self.points],
            "device": self.device,
            "language_model_sha256": self.language_model.sha256 if self.language_model else None,
        }

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        return list(self.outputs(wav, sample_rate, points, together=True))

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


def payload_bytes(codes: Tensor, last_frame_pad_length: int, codebook_size: int, scaled: bool) -> int:
    """Bytes of `codes [N, K, F]` packed at the fewest whole bits, byte-aligned by segment, 4 more for its scale."""
    segments, codebooks, frames = codes.shape
    bits_per_frame = codebooks * math.ceil(math.log2(codebook_size))
    lengths = [frames] * (segments - 1) + [frames - last_frame_pad_length]
    return sum(math.ceil(bits_per_frame * length / 8) + 4 * scaled for length in lengths)
