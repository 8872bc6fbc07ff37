"""`EncodecFeatureExtractor`: arrays to the padded batch and mask a model takes, as transformers' extractor does it."""

import json
import logging
import math
from collections import UserDict
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codec import hub
from codec.config import EncodecConfig
from codec.errors import CheckpointError
from codec.padding import Array, pad_clips, to_tensor
from codec.segments import Segmentation

logger = logging.getLogger(__name__)

PREPROCESSOR_NAME = "preprocessor_config.json"


class BatchFeature(UserDict[str, Any]):
    """A dictionary whose entries are also attributes."""

    def __getattr__(self, name: str) -> Any:
        if name != "data" and name in self.data:
            return self.data[name]
        raise AttributeError(name)

    def to(self, *args: Any, **kwargs: Any) -> "BatchFeature":
        """Move the tensors, as `Tensor.to` does; a floating dtype changes floating tensors only."""
        for name, value in self.data.items():
            if isinstance(value, torch.Tensor):
                moved = value.to(*args, **kwargs)
                keep = moved.is_floating_point() and not value.is_floating_point()
                self.data[name] = value.to(moved.device) if keep else moved
        return self


class EncodecFeatureExtractor(Segmentation, hub.Pushable):
    """Prepares audio for `EncodecModel`, with the arguments, outputs, warnings and errors of transformers' extractor.

    Args:
        feature_size: 1 for mono, 2 for stereo.
        sampling_rate: Hz.
        padding_value: what shorter items are filled up with.
        chunk_length_s: length of a segment in s; audio is then padded to whole segments.
        overlap: fraction of a segment shared with the next.
    """

    model_input_names = ("input_values", "padding_mask")

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = 24000,
        padding_value: float = 0.0,
        chunk_length_s: float | None = None,
        overlap: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.feature_size = feature_size
        self.sampling_rate = sampling_rate
        self.padding_value = padding_value
        self.chunk_length_s = chunk_length_s
        self.overlap = overlap
        self.padding_side = kwargs.pop("padding_side", "right")
        self.return_attention_mask = kwargs.pop("return_attention_mask", True)
        kwargs.pop("feature_extractor_type", None)
        self._extra = kwargs  # kept and written back
        if self.padding_side != "right":
            raise ValueError(f"padding_side must be 'right', as EnCodec models need it, got {self.padding_side!r}")

    def __repr__(self) -> str:
        return f"EncodecFeatureExtractor {json.dumps(self.to_dict(), indent=2, sort_keys=True)}\n"

    def __call__(
        self,
        raw_audio: Array | Sequence[Any],
        padding: bool | str | None = None,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        sampling_rate: int | None = None,
    ) -> BatchFeature:
        """Batch one clip or several.

        Args:
            raw_audio: a clip (`[T]`, or `[2, T]` for stereo) as array or list, or a list of clips.
            padding: True or "longest" (default), "max_length", or False or "do_not_pad".
            truncation: cut clips to `max_length`, or to the whole segments of the shortest.
            max_length: samples.
            return_tensors: "pt" or "np"; None returns lists of arrays.
            sampling_rate: of `raw_audio` in Hz; checked when given.

        Returns input_values `[B, C, T]` and, with padding, padding_mask `[B, T]` (int32, 1 where there is audio).
        Raises `ValueError` for a wrong rate, shape or channel count, no audio, or both padding and truncation.
        """
        self._check_rate(sampling_rate)
        if padding and truncation:
            raise ValueError("Both padding and truncation were set. Make sure you only set one.")
        if padding is None:
            padding = True
        clips = self._clips(raw_audio)
        length, stride = self.chunk_length, self.chunk_stride
        chunked = length is not None and stride is not None and max_length is None
        if length is not None and stride is not None and max_length is None and (truncation or padding):
            if truncation:
                steps = math.floor(min(map(len, clips)) / stride)
            else:
                steps = math.ceil(max(map(len, clips)) / stride)
                padding = "max_length"
            max_length = (steps - 1) * stride + length
        features = BatchFeature()
        if not chunked or truncation or padding:
            clips, mask = pad_clips(clips, padding, truncation, max_length, value=self.padding_value)
            if padding:
                features["padding_mask"] = mask
        features["input_values"] = [clip[None, :] if self.feature_size == 1 else clip.T for clip in clips]
        if return_tensors is not None:
            for name, value in features.items():
                features[name] = to_tensor(value, return_tensors)
        return features

    def _check_rate(self, sampling_rate: int | None) -> None:
        if sampling_rate is None:
            logger.warning(
                "It is strongly recommended to pass the `sampling_rate` argument to `%s()`. "
                "Failing to do so can result in silent errors that might be hard to debug.",
                type(self).__name__,
            )
        elif sampling_rate != self.sampling_rate:
            raise ValueError(
                f"The model corresponding to this feature extractor: {self} was trained using a sampling rate of "
                f"{self.sampling_rate}. Please make sure that the provided audio input was sampled with "
                f"{self.sampling_rate} and not {sampling_rate}."
            )

    def _clips(self, raw_audio: Array | Sequence[Any]) -> list[Array]:
        """The clips as arrays `[T]` or `[T, C]`."""
        if len(raw_audio) == 0:
            raise ValueError("raw_audio is empty; give a clip of at least one sample, or a list of clips")
        if isinstance(raw_audio, (list, tuple)) and isinstance(raw_audio[0], (np.ndarray, tuple, list)):
            clips = [np.asarray(clip, dtype=np.float32).T for clip in raw_audio]
        else:
            clip = np.asarray(raw_audio) if isinstance(raw_audio, np.ndarray) else np.asarray(raw_audio, np.float32)
            clips = [clip.T]
        for clip in clips:
            if clip.ndim > 2:
                raise ValueError(f"Expected input shape (channels, length) but got shape {clip.shape}")
            if self.feature_size == 1 and clip.ndim != 1:
                raise ValueError(f"Expected mono audio but example has {clip.shape[-1]} channels")
            if self.feature_size == 2 and clip.shape[-1] != 2:
                raise ValueError(f"Expected stereo audio but example has {clip.shape[-1]} channels")
        return [clip.astype(np.float32) if clip.dtype == np.float64 else clip for clip in clips]

    def pad(
        self,
        processed_features: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Pad `input_values` that are already arrays or lists `[T]` or `[T, C]`, as transformers' extractors do.

        Args:
            processed_features: a dictionary of lists of items, or a list of dictionaries of one item each.
            padding, max_length, truncation, return_tensors: as in a call; cutting also needs `max_length`.
            pad_to_multiple_of: samples to which lengths are rounded up.
            return_attention_mask: whether to add `attention_mask` `[B, T]`, 1 where there is audio.
        """
        if isinstance(processed_features, (list, tuple)):
            keys = processed_features[0].keys()
            processed_features = {key: [item[key] for item in processed_features] for key in keys}
        if truncation and (padding != "max_length" or max_length is None):
            raise ValueError("truncation expects padding='max_length' and max_length")
        clips = [np.asarray(clip) for clip in processed_features[self.model_input_names[0]]]
        clips = [clip.astype(np.float32) if clip.dtype == np.float64 else clip for clip in clips]
        clips, mask = pad_clips(clips, padding, truncation, max_length, pad_to_multiple_of or 1, self.padding_value)
        features = BatchFeature({self.model_input_names[0]: clips})
        if self.return_attention_mask if return_attention_mask is None else return_attention_mask:
            features["attention_mask"] = mask
        if return_tensors is not None and not (return_tensors == "np" and isinstance(mask, list)):
            for name, value in features.items():  # items of unequal lengths stay a list, as in transformers
                features[name] = to_tensor(value, return_tensors)
        return features

    @classmethod
    def from_config(cls, config: EncodecConfig) -> "EncodecFeatureExtractor":
        """The extractor that fits a model."""
        return cls(
            feature_size=config.audio_channels,
            sampling_rate=config.sampling_rate,
            chunk_length_s=config.chunk_length_s,
            overlap=config.overlap,
        )

    def to_dict(self) -> dict[str, Any]:
        """All settings, those that it was given and does not know included."""
        return {
            **self._extra,
            "feature_extractor_type": type(self).__name__,
            "feature_size": self.feature_size,
            "sampling_rate": self.sampling_rate,
            "padding_value": self.padding_value,
            "padding_side": self.padding_side,
            "return_attention_mask": self.return_attention_mask,
            "chunk_length_s": self.chunk_length_s,
            "overlap": self.overlap,
        }

    def to_json_string(self) -> str:
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def to_json_file(self, path: str | PathLike[str]) -> None:
        Path(path).write_text(self.to_json_string(), encoding="utf-8")

    def save_pretrained(self, folder: str | PathLike[str]) -> list[str]:
        """Write `preprocessor_config.json` into `folder`, which is made if missing. Returns its path, in a list."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.to_json_file(Path(folder) / PREPROCESSOR_NAME)
        return [str(Path(folder) / PREPROCESSOR_NAME)]

    @classmethod
    def from_dict(cls, values: dict[str, Any], **changes: Any) -> "EncodecFeatureExtractor":
        return cls(**{**values, **changes})

    @classmethod
    def from_json_file(cls, path: str | PathLike[str], **changes: Any) -> "EncodecFeatureExtractor":
        """Read a preprocessor_config.json. Raises `CheckpointError` if it cannot be read."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")), **changes)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise CheckpointError(f"cannot read {path}: {error}") from error

    @classmethod
    def from_pretrained(cls, name: str | PathLike[str], **options: Any) -> "EncodecFeatureExtractor":
        """The extractor of a model, by any name `EncodecModel.from_pretrained` takes.

        `options` are those of `hub.find_file`; all others replace what the file says. Raises `CheckpointError`.
        """
        changes = {key: options.pop(key) for key in list(options) if key not in hub.HUB_OPTIONS}
        path = hub.find_file(name, PREPROCESSOR_NAME, **options)
        if path is not None:
            return cls.from_json_file(path, **changes)
        config = hub.find_file(name, hub.CONFIG_NAME, **options)
        if config is None:
            raise CheckpointError(f"{name} has neither {PREPROCESSOR_NAME} nor {hub.CONFIG_NAME}")
        return cls.from_dict(cls.from_config(EncodecConfig.from_json_file(config)).to_dict(), **changes)


AutoProcessor = EncodecFeatureExtractor  # the name in the examples of transformers
