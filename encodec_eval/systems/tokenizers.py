"""Audio tokenizers of transformers, to compare EnCodec with its successors. Needs the extra [transformers]."""

import argparse
import hashlib
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

import codec.audio
from encodec_eval.systems.shared import check_device, number, payload_bytes, timed
from encodec_eval.types import Clip, EvalError, Output, Point


def file_sha256(folder: str) -> str | None:
    """Of the `model.safetensors` in a local folder; None if there is none, as for a hub id, whose cache verifies it."""
    path = Path(folder) / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


@lru_cache(maxsize=4)
def load_tokenizer(name: str, device: str) -> Any:
    """A tokenizer of transformers in evaluation mode, loaded once a process. Raises `EvalError` if there is none."""
    try:
        from transformers import AutoConfig, AutoModel
        from transformers.utils import logging
    except ImportError as error:
        raise EvalError("hf: systems need transformers: pip install 'encodec-tools[transformers]'") from error
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # of every worker, in the midst of the run's own
    try:
        AutoConfig.from_pretrained(name)
        model = AutoModel.from_pretrained(name, trust_remote_code=False).eval().to(device)
    except (OSError, ValueError) as error:
        raise EvalError(f"no tokenizer {name!r} of transformers: {str(error).splitlines()[0]}") from error
    if not (hasattr(model, "encode") and hasattr(model, "decode")):
        raise EvalError(f"{name} is a {type(model).__name__}, which has no encode and decode of audio")
    return model


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer at all its codebooks, and at halves of them down to one where its first codebooks stand alone."""

    kind: ClassVar[str] = "hf:NAME"
    packages: ClassVar[tuple[str, ...]] = ("transformers",)
    name: str
    device: str = "cpu"

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """It has none."""

    @classmethod
    def build(cls, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> "list[Tokenizer]":
        check_device(options.device)
        return [cls(name.removeprefix("hf:"), options.device)]

    @property
    def model(self) -> Any:
        return load_tokenizer(self.name, self.device)

    @cached_property
    @torch.inference_mode()
    def _layout(self) -> tuple[int, int, int, float]:
        """Rate in Hz, codebooks, entries of each, and frames in a second, which is read off two lengths of silence."""
        config = self.model.config
        rate = int(getattr(config, "sampling_rate", 0) or getattr(config, "sample_rate", 0))
        size = int(getattr(config, "codebook_size", 0) or 0)
        if not rate or not size:
            raise EvalError(f"the config of {self.name} names no sampling rate or no codebook size")
        short, long = (
            self._encode(torch.zeros(1, self._channels, seconds * rate, device=self.device)) for seconds in (1, 5)
        )
        return rate, short.shape[1], size, (long.shape[-1] - short.shape[-1]) / 4

    @property
    def _channels(self) -> int:
        return int(getattr(self.model.config, "audio_channels", 1) or 1)

    @cached_property
    def points(self) -> Sequence[Point]:
        _, codebooks, size, frame_rate = self._layout
        series = "hf:" + self.name
        counts = sorted({max(1, codebooks >> halvings) for halvings in range(codebooks.bit_length())})
        kbps = {count: count * math.log2(size) * frame_rate / 1000 for count in counts}
        return [Point(f"{series}@{number(round(kbps[count], 3))}", series, kbps[count]) for count in counts]

    def describe(self) -> dict[str, object]:
        weights = file_sha256(self.model.name_or_path)
        return {"system": "transformers", "model": self.name, "checkpoint_sha256": weights, "device": self.device}

    @torch.inference_mode()
    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        rate, _, size, frame_rate = self._layout
        wav = codec.audio.to_channels(wav, self._channels)
        wav = codec.audio.resample(wav, sample_rate, rate).to(self.device)
        codes, encode_s = timed(lambda: self._encode(wav[None]), self.device)
        outputs = []
        for point in points:
            count = round((point.nominal_kbps or 0) * 1000 / frame_rate / math.log2(size))
            audio, decode_s = timed(partial(self._decode, codes[:, :count]), self.device)
            kept = codes[:, :count].cpu()
            outputs.append(
                Output(
                    point=point,
                    audio=audio[:, : wav.shape[-1]].float().cpu(),
                    sample_rate=rate,
                    payload_bytes=payload_bytes(kept, 0, size, scaled=False),
                    encode_s=encode_s,
                    decode_s=decode_s,
                    codes=kept,
                )
            )
        return outputs

    def _encode(self, x: Tensor) -> Tensor:
        """Codes `[1, K, F]` of `x [1, C, T]` with all codebooks."""
        encode = self.model.encode
        arguments = {}
        if "bandwidth" in inspect.signature(encode).parameters:
            arguments["bandwidth"] = max(self.model.config.target_bandwidths)
        codes = encode(x, **arguments).audio_codes
        if codes.ndim == 4:  # EnCodec's have segments in front
            if codes.shape[0] != 1:
                raise EvalError(f"{self.name} codes in {codes.shape[0]} segments: use it as an EnCodec --model")
            codes = codes[0]
        return codes

    def _decode(self, codes: Tensor) -> Tensor:
        """Audio `[C, T]` of codes `[1, K, F]`."""
        parameters = inspect.signature(self.model.decode).parameters
        if "audio_scales" in parameters:
            decoded = self.model.decode(codes[None], [None])
        else:
            decoded = self.model.decode(audio_codes=codes)
        audio = decoded.audio_values
        return audio[0] if audio.ndim == 3 else audio


SYSTEMS = [Tokenizer]
