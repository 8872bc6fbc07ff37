"""Items and segments that may share a pass through the model, and the sum of segments that overlap."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

Items: TypeAlias = slice | list[int]


def groups(padding_mask: Tensor | None, batch: int, total: int) -> Mapping[int, Items]:
    """Items of a batch by their length, at most `total`: only equal lengths can share a pass without padding."""
    if padding_mask is None:
        return {total: slice(None)}
    lengths = mask_lengths(padding_mask, batch)
    if len(set(lengths)) == 1:
        return {min(lengths[0], total): slice(None)}
    by_length: dict[int, list[int]] = {}
    for item, length in enumerate(lengths):
        by_length.setdefault(min(length, total), []).append(item)
    return by_length


def runs(sizes: Sequence[int], most: int = 16) -> list[slice]:
    """Neighbours of equal size, at most `most` at a time: one pass over many segments reads the LSTM's weights once."""
    found: list[slice] = []
    for n, size in enumerate(sizes):
        if found and size == sizes[n - 1] and n - found[-1].start < most:
            found[-1] = slice(found[-1].start, n + 1)
        else:
            found.append(slice(n, n + 1))
    return found


def mask_lengths(padding_mask: Tensor, batch: int) -> list[int]:
    """Samples of each item by a mask `[B, T]` or `[B, C, T]`, one for all items if its B is 1.

    Raises `ValueError` for other shapes, and for items that do not begin with their audio.
    """
    if padding_mask.ndim not in (2, 3) or len(padding_mask) not in (1, batch):
        shape = tuple(padding_mask.shape)
        raise ValueError(f"padding_mask must be [{batch}, T], [{batch}, C, T] or one for all items, not {shape}")
    mask = padding_mask.reshape(len(padding_mask), -1, padding_mask.shape[-1])[:, 0].bool()
    lengths: list[int] = mask.sum(dim=-1).tolist()
    for item, length in enumerate(lengths):
        if length == 0 or not bool(mask[item, :length].all()):
            raise ValueError(f"item {item} of padding_mask must begin with its audio, at least one sample of it")
    return lengths if len(lengths) == batch else lengths * batch


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
