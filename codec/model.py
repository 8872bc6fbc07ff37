"""`EncodecModel`: audio to codes and back, with the calls, outputs and errors of transformers' `EncodecModel`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from codec import weights
from codec.config import EncodecConfig
from codec.errors import CheckpointError
from codec.features import EncodecFeatureExtractor
from codec.quantizer import ResidualVectorQuantizer
from codec.seanet import Decoder, Encoder


class _Output:
    """Fields by name, by key (so that `**output` works), or by position; fields that are None have no position."""

    def keys(self) -> list[str]:
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]  # type: ignore[arg-type]

    def to_tuple(self) -> tuple[Any, ...]:
        return tuple(getattr(self, key) for key in self.keys())

    def __getitem__(self, key: int | slice | str) -> Any:
        return getattr(self, key) if isinstance(key, str) else self.to_tuple()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.to_tuple())

    def __len__(self) -> int:
        return len(self.keys())


@dataclass
class EncodecEncoderOutput(_Output):
    """What `EncodecModel.encode` returns.

    audio_codes: int64 `[N, B, K, F]`. audio_scales: N loudness scales `[B, 1]`, or N times None without `normalize`.
    last_frame_pad_length: frames of the last segment that are padding, to be handed to `decode`.
    """

    audio_codes: Tensor
    audio_scales: list[Tensor | None]
    last_frame_pad_length: int


@dataclass
class EncodecDecoderOutput(_Output):
    """What `EncodecModel.decode` returns: audio_values `[B, C, T]`."""

    audio_values: Tensor


@dataclass
class EncodecOutput(_Output):
    """What `EncodecModel.forward` returns: audio_codes `[N, B, K, F]` and audio_values `[B, C, T]`."""

    audio_codes: Tensor
    audio_values: Tensor


class EncodecModel(nn.Module):
    """The EnCodec neural audio codec (arXiv 2210.13438).

    Batches may mix lengths: with a `padding_mask`, every item gets exactly the codes and the audio it gets alone.
    The model holds nothing of a run, so one instance serves any number of callers.

    Attributes:
        config: the `EncodecConfig`.
        name: hub id, bundled name or path the weights came from; "random" if they came from nowhere.
        checkpoint_sha256: of the file the weights came from; empty if from nowhere.
    """

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantizer = ResidualVectorQuantizer(config)
        self.name = "random"
        self.checkpoint_sha256 = ""

    @classmethod
    def from_pretrained(
        cls, name: str | PathLike[str], *, dtype: torch.dtype = torch.float32, **hub_options: Any
    ) -> "EncodecModel":
        """Load a model for inference: parameters require no gradients until `requires_grad_()` is called.

        Args:
            name: a bundled name, a folder with config.json and weights, a facebook `.th` file, or a hub id.
            dtype: of the weights in memory; weight norm is folded in float64 before.
            hub_options: revision, cache_dir, local_files_only, token, as in `huggingface_hub.hf_hub_download`.

        Raises `CheckpointError` naming what is missing, damaged or does not fit.
        """
        checkpoint = weights.find(name, **hub_options)
        config, state = weights.read(checkpoint)
        model = cls(config).to(dtype)
        wanted = model.state_dict()
        for problem, keys in (("lacks", wanted.keys() - state.keys()), ("has unknown", state.keys() - wanted.keys())):
            if keys:
                raise CheckpointError(f"{checkpoint.weights} {problem} {len(keys)} weights, among them {min(keys)}")
        for key, value in state.items():
            if value.shape != wanted[key].shape:
                shapes = f"{tuple(value.shape)}, the configuration wants {tuple(wanted[key].shape)}"
                raise CheckpointError(f"{checkpoint.weights}: {key} has shape {shapes}")
        model.load_state_dict(state)
        model.name, model.checkpoint_sha256 = checkpoint.name, checkpoint.sha256()
        return model.eval().requires_grad_(False)

    def save_pretrained(self, folder: str | PathLike[str], *, dtype: torch.dtype | None = None) -> None:
        """Write a folder that transformers opens as well, with weights of `dtype` (default: the model's)."""
        weights.write(self.config, self.state_dict(), folder, dtype or self.dtype)
        EncodecFeatureExtractor.from_config(self.config).save_pretrained(folder)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def encode(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        bandwidth: float | None = None,
        return_dict: bool | None = None,
    ) -> EncodecEncoderOutput | tuple[Any, ...]:
        """Encode audio at a target bandwidth.

        Args:
            input_values: `[B, C, T]` at the model's rate, full scale at 1.
            padding_mask: `[B, T]` or `[B, C, T]`, non-zero where an item has audio; padding stands on the right. An
                item's padding enters nothing (in transformers it enters the scale, the norms and the last frame).
            bandwidth: kbps, one of `config.target_bandwidths`; None means the lowest.
            return_dict: False returns a tuple.

        Returns `EncodecEncoderOutput`. N = ceil(T / chunk_stride) segments, or 1 if the clip is coded whole, of
        F = ceil(segment / hop_length) frames. Where an item has no frame, its codes and scales are 0.
        Raises `ValueError` for other shapes, bandwidths, channels, masks, or an item without samples.
        """
        codebooks = self.config.codebooks_for(bandwidth)
        lengths = self._item_lengths(input_values, padding_mask)
        batch, _, total = input_values.shape
        spans = self._segments(total)
        frames = [self._frames(stop - start) for start, stop in spans]
        codes = torch.zeros(len(spans), batch, codebooks, frames[0], dtype=torch.int64, device=input_values.device)
        scales = input_values.new_zeros(len(spans), batch, 1) if self.config.normalize else None
        for length, items in _groups(lengths).items():
            own = self._segments(length)
            for run in _runs([stop - start for start, stop in own]):
                wav = torch.cat([input_values[items, :, start:stop] for start, stop in own[run]])
                run_codes, scale = self.encode_segment(wav, codebooks)
                codes[run, items, :, : run_codes.shape[-1]] = run_codes.reshape(-1, len(items), *run_codes.shape[1:])
                if scales is not None and scale is not None:
                    scales[run, items] = scale.reshape(-1, len(items), 1)
        output = EncodecEncoderOutput(
            codes, list(scales) if scales is not None else [None] * len(spans), frames[0] - frames[-1]
        )
        return output if self._wants_dict(return_dict) else output.to_tuple()

    def encode_segment(self, x: Tensor, codebooks: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode one segment (or whole clip) `[B, C, T]` with the first `codebooks` codebooks (default all).

        Returns codes `[B, K, F]` and the loudness scale `[B, 1]`, None without `config.normalize`.
        """
        scale = None
        if self.config.normalize:
            scale = x.mean(dim=1).pow(2).mean(dim=-1, keepdim=True).sqrt() + 1e-8
            x = x / scale.unsqueeze(1)
        return self.quantizer.encode(self.encoder(x), codebooks).transpose(0, 1), scale

    def decode(
        self,
        audio_codes: Tensor,
        audio_scales: Sequence[Tensor | None],
        padding_mask: Tensor | None = None,
        return_dict: bool | None = None,
        last_frame_pad_length: int = 0,
    ) -> EncodecDecoderOutput | tuple[Tensor]:
        """Decode what `encode` returned.

        Args:
            audio_codes: `[N, B, K, F]`. audio_scales: N scales `[B, 1]` or None.
            padding_mask: that of `encode`: audio is cut to its length, and to silence where an item has ended.
            return_dict: False returns a tuple.
            last_frame_pad_length: that of `encode`.

        Returns `EncodecDecoderOutput` with audio `[B, C, T]`; without a mask T is a whole number of frames, so it can
        exceed what was encoded. Raises `ValueError` for codes, scales or lengths that do not fit the model.
        """
        if audio_codes.ndim != 4 or len(audio_codes) == 0 or audio_codes.shape[-1] == 0:
            raise ValueError(
                f"audio_codes must be [N, B, K, F], none of them 0, not of shape {tuple(audio_codes.shape)}"
            )
        segments, batch, _, frames = audio_codes.shape
        if self.config.chunk_length is None and segments != 1:
            raise ValueError(f"Expected one frame, got {segments}")
        if len(audio_scales) != segments:
            raise ValueError(f"{len(audio_scales)} audio_scales given for {segments} segments")
        if not 0 <= last_frame_pad_length < frames:
            raise ValueError(f"last_frame_pad_length must be in [0, {frames}), got {last_frame_pad_length}")
        self.quantizer.check(audio_codes.movedim(2, 0))
        stride = self.config.chunk_stride or 0
        total = (segments - 1) * stride + (frames - last_frame_pad_length) * self.config.hop_length
        if padding_mask is None:
            lengths = [total] * batch
        else:
            total = min(total, padding_mask.shape[-1])
            lengths = [min(length, total) for length in _mask_lengths(padding_mask, batch)]
        audio = torch.zeros(batch, self.config.audio_channels, total, dtype=self.dtype, device=self.device)
        for length, items in _groups(lengths).items():
            counts = [self._frames(stop - start) for start, stop in self._segments(length)][:segments]
            if padding_mask is None:
                counts = [frames] * (segments - 1) + [frames - last_frame_pad_length]
            pieces: list[Tensor] = []
            for run in _runs(counts):
                codes = audio_codes[run][:, items, :, : counts[run.start]].flatten(0, 1)
                scales = [scale[items] for scale in audio_scales[run] if scale is not None]
                run_audio = self.decode_segment(codes, torch.cat(scales) if scales else None)
                pieces += run_audio.reshape(-1, len(items), *run_audio.shape[1:])
            audio[items, :, :length] = overlap_add(pieces, stride)[..., :length].to(audio.dtype)
        return EncodecDecoderOutput(audio) if self._wants_dict(return_dict) else (audio,)

    def decode_segment(self, codes: Tensor, scale: Tensor | None = None) -> Tensor:
        """Decode one segment: codes `[B, K, F]` and scale `[B, 1]` to audio `[B, C, F * hop_length]`."""
        audio = self.decoder(self.quantizer.decode(codes.transpose(0, 1)))
        return audio if scale is None else audio * scale.view(-1, 1, 1)

    def forward(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        bandwidth: float | None = None,
        audio_codes: Tensor | None = None,
        audio_scales: Sequence[Tensor | None] | None = None,
        return_dict: bool | None = None,
        last_frame_pad_length: int = 0,
    ) -> EncodecOutput | tuple[Tensor, Tensor]:
        """Encode and decode, or decode `audio_codes` and `audio_scales` if both are given; arguments as in those.

        The audio is as long as `input_values`. Raises `ValueError` if only one of codes and scales is given.
        """
        if audio_codes is not None and audio_scales is None:
            raise ValueError("You specified `audio_codes` but did not specify the `audio_scales`")
        if audio_scales is not None and audio_codes is None:
            raise ValueError("You specified `audio_scales` but did not specify the `audio_codes`")
        if padding_mask is None:
            padding_mask = torch.ones_like(input_values, dtype=torch.bool)
        if audio_codes is None or audio_scales is None:
            audio_codes, audio_scales, last_frame_pad_length = self.encode(input_values, padding_mask, bandwidth)
        audio = self.decode(audio_codes, audio_scales, padding_mask, last_frame_pad_length=last_frame_pad_length)[0]
        return EncodecOutput(audio_codes, audio) if self._wants_dict(return_dict) else (audio_codes, audio)

    def _wants_dict(self, return_dict: bool | None) -> bool:
        return self.config.return_dict if return_dict is None else return_dict

    def _item_lengths(self, input_values: Tensor, padding_mask: Tensor | None) -> list[int]:
        if input_values.ndim != 3 or 0 in input_values.shape:
            raise ValueError(
                f"input_values must be [B, C, T], none of them 0, not of shape {tuple(input_values.shape)}"
            )
        batch, channels, total = input_values.shape
        if channels not in (1, 2):
            raise ValueError(f"Number of audio channels must be 1 or 2, but got {channels}")
        if channels != self.config.audio_channels:
            raise ValueError(f"This model takes {self.config.audio_channels} audio channels, but got {channels}")
        if padding_mask is None:
            return [total] * batch
        if padding_mask.shape[-1] != total:
            raise ValueError(f"padding_mask has {padding_mask.shape[-1]} samples, input_values {total}")
        return _mask_lengths(padding_mask, batch)

    def _segments(self, length: int) -> list[tuple[int, int]]:
        """First and last sample (exclusive) of each segment of a clip."""
        chunk, stride = self.config.chunk_length or length, self.config.chunk_stride or length
        return [(start, min(start + chunk, length)) for start in range(0, length, stride)]

    def _frames(self, samples: int) -> int:
        return -(-samples // self.config.hop_length)


def load_model(name: str | PathLike[str] | None = None, device: str | torch.device = "cpu") -> EncodecModel:
    """Load a model for inference; None means `weights.default_model()`. Raises `CheckpointError`."""
    return EncodecModel.from_pretrained(weights.default_model() if name is None else name).to(device)


def overlap_add(pieces: list[Tensor], stride: int) -> Tensor:
    """Sum segments `[B, C, T]` that start `stride` samples apart: each sample is their mean, with `segment_window`."""
    if len(pieces) == 1:
        return pieces[0]
    total = max(n * stride + piece.shape[-1] for n, piece in enumerate(pieces))
    audio = pieces[0].new_zeros(*pieces[0].shape[:-1], total)
    weight = pieces[0].new_zeros(total)
    for n, piece in enumerate(pieces):
        span = slice(n * stride, n * stride + piece.shape[-1])
        window = segment_window(piece, pieces[0].shape[-1])
        audio[..., span] += window * piece
        weight[span] += window
    return audio / weight


def segment_window(segment: Tensor, full: int) -> Tensor:
    """Weights `[T]` of a segment `[B, C, T]` in an overlap: a triangle that peaks amid `full` samples."""
    ramp = torch.linspace(0, 1, full + 2, dtype=segment.dtype, device=segment.device)[1:-1]
    return 0.5 - (ramp[: segment.shape[-1]] - 0.5).abs()


def _groups(lengths: list[int]) -> dict[int, list[int]]:
    """Items of a batch by their length: only equal lengths can share a pass without padding."""
    groups: dict[int, list[int]] = {}
    for item, length in enumerate(lengths):
        groups.setdefault(length, []).append(item)
    return groups


def _runs(sizes: list[int], most: int = 16) -> list[slice]:
    """Neighbours of equal size, at most `most` at a time: one pass over many segments reads the LSTM's weights once."""
    runs: list[slice] = []
    for n, size in enumerate(sizes):
        if runs and size == sizes[n - 1] and n - runs[-1].start < most:
            runs[-1] = slice(runs[-1].start, n + 1)
        else:
            runs.append(slice(n, n + 1))
    return runs


def _mask_lengths(padding_mask: Tensor, batch: int) -> list[int]:
    if padding_mask.ndim not in (2, 3) or len(padding_mask) != batch:
        raise ValueError(f"padding_mask must be [{batch}, T] or [{batch}, C, T], not {tuple(padding_mask.shape)}")
    mask = padding_mask.reshape(batch, -1, padding_mask.shape[-1])[:, 0].bool()
    lengths: list[int] = mask.sum(dim=-1).tolist()
    for item, length in enumerate(lengths):
        if length == 0 or not bool(mask[item, :length].all()):
            raise ValueError(f"item {item} of padding_mask must begin with its audio, at least one sample of it")
    return lengths
