"""Decoding over a line that loses frames: what stands in for them, and a stream that goes on after them.

    stream = ConcealingDecoderStream(model, Repeat())
    for codes in arriving:  # None where three frames were lost
        play(stream.push(codes) if codes is not None else stream.lose(3))
    play(stream.flush())

Without loss the audio is that of `DecoderStream` to the last bit. After a loss the decoder's convolutions forget what
was made up within a few frames, its LSTM little by little: `recovery` tells how many frames that takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from codec.layers import State
from codec.lm.model import LanguageModel
from codec.model import EncodecModel
from codec.streaming import DecoderStream

HOLD_FRAMES = 2  # of a loss that are made up at full level
FALL_FRAMES = 8  # over which the level then falls to nothing: 107 ms at 75 frames a second
NO_CODE = -1  # in `Memory.codes`, for a codebook that did not arrive; the language model's "no frame yet"


class Memory(NamedTuple):
    """What is known when frames are missing: codes `[B, K, F]` of the last frames, the last frame's latents
    `[B, D, 1]`, and for how many frames nothing has come. No frame yet: F is 0 and the latents are zeros."""

    codes: Tensor
    latents: Tensor
    lost: int = 0


class Concealment(Protocol):
    """Makes up frames. `context`: of how many frames before it wants the codes; `fades`: whether the audio of a long
    loss is faded out."""

    @property
    def context(self) -> int: ...

    @property
    def fades(self) -> bool: ...

    def make_up(self, model: EncodecModel, memory: Memory) -> tuple[Tensor, Tensor]:
        """The next frame's codes `[B, K, 1]` and latents `[B, D, 1]`."""


@dataclass(frozen=True)
class Repeat:
    """The last frame again, faded out."""

    context: int = 1
    fades: bool = True

    def make_up(self, model: EncodecModel, memory: Memory) -> tuple[Tensor, Tensor]:
        return memory.codes[..., -1:], memory.latents


@dataclass(frozen=True)
class TowardsZero:
    """The last frame's latents, smaller by `factor` from frame to frame."""

    factor: float = 0.8
    context: int = 1
    fades: bool = False

    def make_up(self, model: EncodecModel, memory: Memory) -> tuple[Tensor, Tensor]:
        return memory.codes[..., -1:], self.factor * memory.latents


@dataclass(frozen=True)
class MostProbable:
    """The codes that a language model of the codec finds most probable after those before, faded out.

    The model runs over its whole context for every frame that is missing, and not at all while all arrive.
    """

    lm: LanguageModel
    fades: bool = True

    @property
    def context(self) -> int:
        return self.lm.config.context

    def make_up(self, model: EncodecModel, memory: Memory) -> tuple[Tensor, Tensor]:
        codes = memory.codes
        if not codes.shape[-1]:
            return codes, memory.latents
        features = self.lm.hidden(F.pad(codes, (0, 1)))[:, -1]
        heads = range(codes.shape[1])
        guess = torch.stack([self.lm.head(k)(features).argmax(dim=-1) for k in heads], dim=1)[..., None]
        return guess, model.quantizer.decode(guess.transpose(0, 1))


class ConcealingDecoderStream:
    """A `DecoderStream` that is told which frames are lost.

    Attributes:
        state: what is remembered of the clip so far, as that of `DecoderStream`.
    """

    def __init__(self, model: EncodecModel, concealment: Concealment | None = None, state: State = None) -> None:
        """`concealment` is `Repeat()` by default. Raises `ValueError` for a model that cannot stream frame by frame."""
        if model.config.segmented:
            raise ValueError("a model with segments (chunk_length_s) loses whole segments: use DecoderStream for it")
        decoder_state, memory, gains = state or (None, None, None)
        self._decoder = DecoderStream(model, decoder_state)
        self._memory: Memory | None = memory
        self._gains: Tensor | None = gains
        self.model = model
        self.concealment = concealment or Repeat()

    @property
    def state(self) -> State:
        return None if self._memory is None else (self._decoder.state, self._memory, self._gains)

    @torch.no_grad()
    def push(self, codes: Tensor) -> Tensor:
        """As `DecoderStream.push`: codes `[B, K, F]` that arrived, of any number of frames and codebooks."""
        audio = self._decoder.push(codes)
        if not codes.shape[-1]:
            return audio
        memory = self._begun(len(codes), codes.shape[1])
        gains = self._level(memory.lost), 1.0
        known = _joined(memory.codes, codes)[..., -max(1, self.concealment.context) :]
        latents = self.model.quantizer.decode(codes[..., -1:].transpose(0, 1))
        self._memory = Memory(known, latents)
        return self._faded(audio, [*gains, *[1.0] * (codes.shape[-1] - 1)])

    @torch.no_grad()
    def lose(self, frames: int = 1, batch: int = 1) -> Tensor:
        """The audio `[B, C, T]` in place of the next `frames`, which are lost; `batch` is for a stream's first ones."""
        memory = self._begun(batch, 1)
        gains, made = [self._level(memory.lost)], []
        for _ in range(frames):
            codes, latents = self.concealment.make_up(self.model, memory)
            known = torch.cat([memory.codes, codes], dim=-1)[..., -max(1, self.concealment.context) :]
            memory = Memory(known, latents, memory.lost + 1)
            made.append(latents)
            gains.append(self._level(memory.lost))
        self._memory = memory
        if not made:
            return self._decoder.push_latents(memory.latents[..., :0])
        return self._faded(self._decoder.push_latents(torch.cat(made, dim=-1)), gains)

    @torch.no_grad()
    def flush(self) -> Tensor:
        """As `DecoderStream.flush`."""
        audio = self._faded(self._decoder.flush(), [1.0])
        self._memory = self._gains = None
        return audio

    def _begun(self, batch: int, codebooks: int) -> Memory:
        if self._memory is not None:
            return self._memory
        like = self.model.quantizer.codebooks[0].embed
        codes = torch.empty(batch, codebooks, 0, dtype=torch.int64, device=like.device)
        return Memory(codes, like.new_zeros(batch, like.shape[1], 1))

    def _level(self, lost: int) -> float:
        """How loud the audio is at the end of the lost frame of that number, 0 for one that arrived."""
        return max(0.0, min(1.0, 1 - (lost - HOLD_FRAMES) / FALL_FRAMES)) if self.concealment.fades else 1.0

    def _faded(self, audio: Tensor, levels: Sequence[float]) -> Tensor:
        """The audio at the levels of the frames' ends, linear between them. The decoder holds the first frames back,
        so levels wait for their audio."""
        hop = self.model.config.hop_length
        ends = torch.tensor(levels, dtype=audio.dtype, device=audio.device)
        ramp = torch.arange(1, hop + 1, dtype=audio.dtype, device=audio.device) / hop
        gains = (ends[:-1, None] + (ends[1:] - ends[:-1])[:, None] * ramp).flatten()
        if self._gains is not None:
            gains = torch.cat([self._gains, gains])
        self._gains = gains[audio.shape[-1] :]
        return audio * gains[: audio.shape[-1]]


def recovery(
    model: EncodecModel, codes: Tensor, start: int, lost: int, concealment: Concealment, tolerance: float = 0.0
) -> int | None:
    """After how many frames the audio is again that of a decoder that lost nothing, but for `tolerance` of full scale.

    `lost` frames of `codes [1, K, F]` are lost from `start`. None if it is not by the end of the clip.
    """
    undisturbed, disturbed = DecoderStream(model), ConcealingDecoderStream(model, concealment)
    first, after = codes[..., :start], codes[..., start + lost :]
    expected = [undisturbed.push(part) for part in (first, codes[..., start : start + lost])]
    found = [disturbed.push(first), disturbed.lose(lost)]
    for frame in torch.split(after, 1, dim=-1):
        expected.append(undisturbed.push(frame))
        found.append(disturbed.push(frame))
    difference = (torch.cat(found, dim=-1) - torch.cat(expected, dim=-1)).abs().amax(dim=(0, 1))
    unequal = torch.nonzero(difference > tolerance)
    last = int(unequal.max()) + 1 if len(unequal) else 0
    frames = -(-last // model.config.hop_length) - start - lost
    return None if frames >= after.shape[-1] else max(0, frames)


def _joined(known: Tensor, codes: Tensor) -> Tensor:
    """Both one after the other, the one with fewer codebooks filled up with `NO_CODE`."""
    codebooks = max(known.shape[1], codes.shape[1])
    padded = [F.pad(part, (0, 0, 0, codebooks - part.shape[1]), value=NO_CODE) for part in (known, codes)]
    return torch.cat(padded, dim=-1)
