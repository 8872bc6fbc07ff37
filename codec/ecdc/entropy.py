"""Codes <-> entropy-coded bytes: a language model's frequencies and the range coder, for both formats.

Portable streams (`encode`, `decode`) stand for themselves on every machine. Compatible streams are facebook's.
"""

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import IO

import numpy as np
import torch
from torch import Tensor

from codec.ecdc.range_coder import RangeDecoder, RangeEncoder
from codec.errors import EcdcError
from codec.lm.exact import CHUNK, PortableLanguageModel
from codec.lm.facebook import CompatibleLanguageModel
from codec.lm.model import LanguageModel

SHARES_AT_ONCE = 1 << 17  # frequencies held at once while encoding: they stay in the processor's cache


@lru_cache(maxsize=4)
def portable(lm: LanguageModel, codebooks: int) -> PortableLanguageModel:
    """The exact model for the first `codebooks` codebooks, built once."""
    return PortableLanguageModel(lm, codebooks)


def encode(lm: LanguageModel, codes: Tensor) -> bytes:
    """Codes `[K, F]` -> bytes that `decode` reads on any machine. Nothing is coded across calls."""
    model = portable(lm, codes.shape[0])
    file = io.BytesIO()
    coder = RangeEncoder(file)
    state = model.start(1, codes.shape[1])
    frames_at_once = max(1, SHARES_AT_ONCE // (model.config.codebook_size * model.codebooks))
    symbols = codes.numpy()
    previous = np.pad(symbols + 1, ((0, 0), (1, 0)))[:, :-1]
    for start in range(0, codes.shape[1], CHUNK):
        features = model.advance(previous[None, :, start : start + CHUNK], state)[0]
        for first in range(0, len(features), frames_at_once):
            part = features[first : first + frames_at_once]
            chosen = symbols.T[start + first : start + first + len(part), :, None]
            ends = np.pad(model.cumulative(part), ((0, 0), (0, 0), (1, 0)))
            shares = np.take_along_axis(ends, np.concatenate([chosen, chosen + 1], axis=-1), axis=-1)
            for low, high in shares.reshape(-1, 2).tolist():
                coder.push(low, high)
    coder.finish()
    return file.getvalue()


def decode(lm: LanguageModel, bodies: Sequence[bytes], codebooks: int, frames: int) -> list[Tensor | EcdcError]:
    """Bytes of `encode`, several of equal length at once -> codes `[K, F]` of each, or what is wrong with it."""
    if not bodies:
        return []
    model = portable(lm, codebooks)
    results: list[Tensor | EcdcError] = [torch.zeros(codebooks, frames, dtype=torch.int64) for _ in bodies]
    files = [io.BytesIO(body) for body in bodies]
    decoders = [RangeDecoder(file) for file in files]
    state = model.start(len(bodies), frames)
    previous = np.zeros((len(bodies), codebooks, 1), np.int64)
    for frame in range(frames):
        tables = model.cumulative(model.advance(previous, state)[:, 0])
        for item, (decoder, result) in enumerate(zip(decoders, results, strict=True)):
            if isinstance(result, EcdcError):
                continue
            try:
                previous[item, :, 0] = [1 + decoder.pull(table) for table in tables[item]]
            except EcdcError as error:
                results[item] = error
                continue
            result[:, frame] = torch.from_numpy(previous[item, :, 0] - 1)
    for item, (decoder, file) in enumerate(zip(decoders, files, strict=True)):
        try:
            decoder.finish()
            if file.read(1):
                raise EcdcError("bytes follow the end of the entropy-coded stream: it is damaged")
        except EcdcError as error:
            if isinstance(results[item], Tensor):
                results[item] = error
    return results


class CompatibleEncoder:
    """Writes one of facebook's streams to `file`, piece after piece."""

    def __init__(self, lm: LanguageModel, codebooks: int, file: IO[bytes]) -> None:
        self._model = CompatibleLanguageModel(lm, codebooks)
        self._coder = RangeEncoder(file)
        self._previous = [0] * codebooks

    def push(self, codes: Tensor) -> None:
        """Code the next frames, `[K, F]`."""
        for symbols in codes.t().tolist():
            for symbol, ends in zip(symbols, self._model.step(self._previous), strict=True):
                self._coder.push(int(ends[symbol - 1]) if symbol else 0, int(ends[symbol]))
            self._previous = [symbol + 1 for symbol in symbols]

    def finish(self) -> None:
        self._coder.finish()


class CompatibleDecoder:
    """Reads one of facebook's streams from `file`, piece after piece, and no byte beyond it."""

    def __init__(self, lm: LanguageModel, codebooks: int, file: IO[bytes]) -> None:
        self._model = CompatibleLanguageModel(lm, codebooks)
        self._coder = RangeDecoder(file)
        self._previous = [0] * codebooks

    def pull(self, frames: int) -> Tensor:
        """The next `frames` frames, `[K, F]`. Raises `EcdcError` for a stream that is damaged."""
        pieces = []
        for _ in range(frames):
            symbols = [self._coder.pull(table) for table in self._model.step(self._previous)]
            pieces.append(symbols)
            self._previous = [symbol + 1 for symbol in symbols]
        return torch.tensor(pieces, dtype=torch.int64).reshape(frames, self._model.codebooks).t().contiguous()

    def finish(self) -> None:
        self._coder.finish()
