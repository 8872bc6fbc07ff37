"""Encode and decode piece by piece, in constant memory, with the result of coding the whole clip at once.

    encoder, decoder = EncoderStream(model, bandwidth=6.0), DecoderStream(model)
    for samples in microphone:
        for codes, scale in encoder.push(samples):
            play(decoder.push(codes, scale))
    for codes, scale in encoder.flush():
        play(decoder.push(codes, scale))
    play(decoder.flush())

A causal model without segments (24 kHz) works frame by frame after a warm-up of a few frames, which its reflection at
the start needs. A model with segments (48 kHz) works segment by segment. Everything a stream remembers is its
`state`: None at the start, else nested tuples of tensors that are never changed in place, so a state can be kept,
copied, saved with `torch.save` and given to another stream of the same model. A stream may not be shared by threads.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from codec.batching import segment_window
from codec.layers import State
from codec.model import EncodecModel


class Piece(NamedTuple):
    """What can be decoded so far: codes `[B, K, F]` and loudness scale `[B, 1]` (None without `config.normalize`)."""

    codes: Tensor
    scale: Tensor | None


class EncoderStream:
    """Audio in, codes out.

    Attributes:
        bandwidth: kbps, one of `config.target_bandwidths` (None: the lowest); may be set between pushes.
        state: what is remembered of the clip so far.
    """

    def __init__(self, model: EncodecModel, bandwidth: float | None = None, state: State = None) -> None:
        """Raises `ValueError` for a model that cannot stream, or a bandwidth it does not have."""
        _require_streamable(model)
        model.config.codebooks_for(bandwidth)
        self.model = model
        self.bandwidth = bandwidth
        self.state = state

    @torch.no_grad()
    def push(self, samples: Tensor) -> list[Piece]:
        """Encode the next samples `[B, C, T]`, any T.

        Returns what they complete: for a causal model nothing or all new frames in one piece, for a model with
        segments one piece for each segment. Raises `ValueError` for another shape than the clip has had so far.
        """
        batch = samples.shape[0] if self.state is None else self.state[0].shape[0]
        channels = self.model.config.audio_channels
        if samples.ndim != 3 or samples.shape[:2] != (batch, channels):
            raise ValueError(f"samples must be [{batch}, {channels}, T], not of shape {tuple(samples.shape)}")
        return self._run(samples, last=False)

    @torch.no_grad()
    def flush(self) -> list[Piece]:
        """Encode what is left of the clip; the stream is then at the start of a new one."""
        if self.state is None:
            return []
        return self._run(self.state[0][..., :0], last=True)

    def _run(self, samples: Tensor, last: bool) -> list[Piece]:
        held, layers = (samples[..., :0], None) if self.state is None else self.state
        held = torch.cat([held, samples], dim=-1)
        if not self.model.config.segmented:
            pieces, held, layers = self._frames(held, layers, last)
        else:
            pieces, held = self._segments(held, last)
        self.state = None if last else (held, layers)
        return pieces

    def _frames(self, held: Tensor, layers: State, last: bool) -> tuple[list[Piece], Tensor, State]:
        hop = self.model.config.hop_length
        ready = held.shape[-1] if last else held.shape[-1] // hop * hop
        if ready == 0 or (layers is None and not last and ready < self.model.encoder.warmup_frames * hop):
            return [], held, layers
        latents, layers = self.model.encoder.step(held[..., :ready], layers, last)
        codebooks = self.model.config.codebooks_for(self.bandwidth)
        codes = self.model.quantizer.encode(latents, codebooks).transpose(0, 1)
        return [Piece(codes, None)], held[..., ready:].clone(), layers

    def _segments(self, held: Tensor, last: bool) -> tuple[list[Piece], Tensor]:
        config = self.model.config
        length, stride = config.chunk_length or 0, config.segment_stride
        codebooks = config.codebooks_for(self.bandwidth)
        pieces = []
        while held.shape[-1] >= (1 if last else length):
            pieces.append(Piece(*self.model.encode_segment(held[..., :length], codebooks)))
            held = held[..., stride:]
        return pieces, held.clone()


class DecoderStream:
    """Codes in, audio out. The number of codebooks may change from push to push.

    Attributes:
        state: what is remembered of the clip so far.
    """

    def __init__(self, model: EncodecModel, state: State = None) -> None:
        """Raises `ValueError` for a model that cannot stream."""
        _require_streamable(model)
        self.model = model
        self.state = state

    @torch.no_grad()
    def push(self, codes: Tensor, scale: Tensor | None = None) -> Tensor:
        """Decode the next codes `[B, K, F]`: any number of frames, or one segment with its `scale` `[B, 1]`.

        Returns the audio `[B, C, T]` that no later codes can change. Raises `ValueError` for codes or scales that do
        not fit the model, or a segment after the clip's last one, known by its length.
        """
        if codes.ndim != 3:
            raise ValueError(f"codes must be [B, K, F], not of shape {tuple(codes.shape)}")
        if (scale is not None) != self.model.config.normalize:
            raise ValueError(f"this model {'needs a' if scale is None else 'takes no'} scale with its codes")
        self.model.quantizer.check(codes.transpose(0, 1))
        if not self.model.config.segmented:
            return self._frames(self.model.quantizer.decode(codes.transpose(0, 1)), last=False)
        return self._segment(codes, scale)

    @torch.no_grad()
    def flush(self) -> Tensor:
        """The rest of the audio `[B, C, T]`; the stream is then at the start of a new clip.

        The clip's audio is a whole number of frames, so it can exceed what was encoded.
        """
        if self.state is None:
            return torch.empty(1, self.model.config.audio_channels, 0, dtype=self.model.dtype, device=self.model.device)
        if not self.model.config.segmented:
            return self._frames(self.state[0][..., :0], last=True)
        audio, weight = self.state[:2]
        self.state = None
        return audio / weight

    def _frames(self, latents: Tensor, last: bool) -> Tensor:
        held, layers = (latents[..., :0], None) if self.state is None else self.state
        held = torch.cat([held, latents], dim=-1)
        if not last and held.shape[-1] < (1 if layers is not None else self.model.decoder.warmup_frames):
            self.state = held, layers
            return held.new_empty(len(held), self.model.config.audio_channels, 0)
        audio, layers = self.model.decoder.step(held, layers, last)
        self.state = None if last else (held[..., :0].clone(), layers)
        return audio

    def _segment(self, codes: Tensor, scale: Tensor | None) -> Tensor:
        """Overlap-add as in `EncodecModel.decode`. State: weighted audio and weights that may still grow, whether
        the clip must have ended because its segment was shorter than the stride, and the first segment's length."""
        stride = self.model.config.segment_stride
        if self.state is not None and self.state[2]:
            raise ValueError("the segment before this one was short, so it must be the last; flush comes next")
        piece = self.model.decode_segment(codes, scale)
        full = piece.shape[-1] if self.state is None else self.state[3]
        weight = segment_window(piece, full)
        audio = weight * piece
        if self.state is not None:
            earlier_audio, earlier_weight = self.state[:2]
            overlap = min(len(earlier_weight), len(weight))
            audio[..., :overlap] += earlier_audio[..., :overlap]
            weight[:overlap] += earlier_weight[:overlap]
        self.state = audio[..., stride:].clone(), weight[stride:].clone(), len(weight) < stride, full
        return audio[..., :stride] / weight[:stride]


def _require_streamable(model: EncodecModel) -> None:
    config = model.config
    if not config.segmented and not (config.use_causal_conv and config.norm_type == "weight_norm"):
        raise ValueError("only a causal model with weight_norm, or one with segments (chunk_length_s), can stream")
