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
        self._encode = _SegmentEncoder(model) if model.config.segmented else _FrameEncoder(model)

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
        codebooks = self.model.config.codebooks_for(self.bandwidth)
        pieces, self.state = self._encode(samples, self.state, codebooks, last)
        return pieces


class _FrameEncoder:
    """Frame by frame. State: samples that fill no frame yet, and the encoder's layers (None before the warm-up)."""

    def __init__(self, model: EncodecModel) -> None:
        self._model = model

    def __call__(self, samples: Tensor, state: State, codebooks: int, last: bool) -> tuple[list[Piece], State]:
        held, layers = (samples[..., :0], None) if state is None else state
        held = torch.cat([held, samples], dim=-1)
        hop = self._model.config.hop_length
        ready = held.shape[-1] if last else held.shape[-1] // hop * hop
        if ready == 0 or (layers is None and not last and ready < self._model.encoder.warmup_frames * hop):
            return [], None if last else (held, layers)
        latents, layers = self._model.encoder.step(held[..., :ready], layers, last)
        codes = self._model.quantizer.encode(latents, codebooks).transpose(0, 1)
        return [Piece(codes, None)], None if last else (held[..., ready:].clone(), layers)


class _SegmentEncoder:
    """Segment by segment. State: the samples from the start of the next segment on, and None."""

    def __init__(self, model: EncodecModel) -> None:
        self._model = model

    def __call__(self, samples: Tensor, state: State, codebooks: int, last: bool) -> tuple[list[Piece], State]:
        held = samples if state is None else torch.cat([state[0], samples], dim=-1)
        config = self._model.config
        length = config.chunk_length or 0
        pieces = []
        while held.shape[-1] >= (1 if last else length):
            pieces.append(Piece(*self._model.encode_segment(held[..., :length], codebooks)))
            held = held[..., config.segment_stride :]
        return pieces, None if last else (held.clone(), None)


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
        self._decode = _SegmentDecoder(model) if model.config.segmented else _FrameDecoder(model)

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
        audio, self.state = self._decode.push(codes, scale, self.state)
        return audio

    @torch.no_grad()
    def push_latents(self, latents: Tensor) -> Tensor:
        """As `push`, of latents `[B, D, F]` in place of codes, such as those that stand in for lost frames.

        Raises `ValueError` for a model with segments, which are decoded from codes only.
        """
        if not isinstance(self._decode, _FrameDecoder):
            raise ValueError("a model with segments (chunk_length_s) takes codes, not latents")
        audio, self.state = self._decode.push_latents(latents, self.state)
        return audio

    @torch.no_grad()
    def flush(self) -> Tensor:
        """The rest of the audio `[B, C, T]`; the stream is then at the start of a new clip.

        The clip's audio is a whole number of frames, so it can exceed what was encoded.
        """
        if self.state is None:
            return torch.empty(1, self.model.config.audio_channels, 0, dtype=self.model.dtype, device=self.model.device)
        audio = self._decode.flush(self.state)
        self.state = None
        return audio


class _FrameDecoder:
    """Frame by frame. State: latents that wait for the end of the warm-up, and the decoder's layers."""

    def __init__(self, model: EncodecModel) -> None:
        self._model = model

    def push(self, codes: Tensor, scale: Tensor | None, state: State) -> tuple[Tensor, State]:
        return self.push_latents(self._model.quantizer.decode(codes.transpose(0, 1)), state)

    def push_latents(self, latents: Tensor, state: State) -> tuple[Tensor, State]:
        held, layers = (latents[..., :0], None) if state is None else state
        held = torch.cat([held, latents], dim=-1)
        if held.shape[-1] < (1 if layers is not None else self._model.decoder.warmup_frames):
            return held.new_empty(len(held), self._model.config.audio_channels, 0), (held, layers)
        audio, layers = self._model.decoder.step(held, layers, last=False)
        return audio, (held[..., :0].clone(), layers)

    def flush(self, state: State) -> Tensor:
        held, layers = state
        audio: Tensor = self._model.decoder.step(held, layers, last=True)[0]
        return audio


class _SegmentDecoder:
    """Segment by segment, with the overlap-add of `EncodecModel.decode`.

    State: weighted audio and weights that may still grow, whether the clip must have ended because its segment was
    shorter than the stride, and the first segment's length.
    """

    def __init__(self, model: EncodecModel) -> None:
        self._model = model

    def push(self, codes: Tensor, scale: Tensor | None, state: State) -> tuple[Tensor, State]:
        stride = self._model.config.segment_stride
        if state is not None and state[2]:
            raise ValueError("the segment before this one was short, so it must be the last; flush comes next")
        segment = self._model.decode_segment(codes, scale)
        full = segment.shape[-1] if state is None else state[3]
        weight = segment_window(segment, full)
        audio = weight * segment
        if state is not None:
            earlier_audio, earlier_weight = state[:2]
            overlap = min(len(earlier_weight), len(weight))
            audio[..., :overlap] += earlier_audio[..., :overlap]
            weight[:overlap] += earlier_weight[:overlap]
        state = audio[..., stride:].clone(), weight[stride:].clone(), len(weight) < stride, full
        return audio[..., :stride] / weight[:stride], state

    def flush(self, state: State) -> Tensor:
        audio, weight = state[:2]
        return audio / weight


def _require_streamable(model: EncodecModel) -> None:
    config = model.config
    if not config.segmented and not (config.use_causal_conv and config.norm_type == "weight_norm"):
        raise ValueError("only a causal model with weight_norm, or one with segments (chunk_length_s), can stream")
    if not config.segmented and config.normalize:
        raise ValueError("with normalize a clip is scaled by the loudness of all of it: only in segments can it stream")
