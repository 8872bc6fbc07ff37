"""Clips of unequal lengths to one batch, as transformers' feature extractors pad and cut them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]


def pad_clips(
    clips: list[Array],
    padding: bool | str,
    truncation: bool,
    max_length: int | None,
    multiple: int = 1,
    value: float = 0.0,
) -> tuple[list[Array], Array | list[Array]]:
    """Cut and fill up clips `[T]` or `[T, C]` to a common length, rounded up to a `multiple` of samples.

    Arguments as in a call of the extractor. Returns the clips and the mask `[B, T]`, 1 where there is audio; where
    lengths differ, as they do without padding, a mask for each clip.
    """
    if padding not in (True, False, "longest", "max_length", "do_not_pad"):
        raise ValueError(f"padding must be a bool, 'longest', 'max_length' or 'do_not_pad', got {padding!r}")
    if max_length is not None:
        max_length = -(-max_length // multiple) * multiple
    if truncation:
        if max_length is None:
            raise ValueError("When setting ``truncation=True``, make sure that ``max_length`` is defined.")
        clips = [clip[:max_length] for clip in clips]
    if padding == "max_length" and max_length is None:
        raise ValueError("When setting ``padding=max_length``, make sure that max_length is defined")
    masks = [np.ones(len(clip), dtype=np.int32) for clip in clips]
    if padding in (True, "longest", "max_length"):
        target = max_length if padding == "max_length" else -(-max(map(len, clips)) // multiple) * multiple
        assert target is not None
        masks = [np.pad(mask, (0, max(0, target - len(mask)))) for mask in masks]
        clips = [_fill_up(clip, target, value) for clip in clips]
    same = len({len(mask) for mask in masks}) == 1
    return clips, np.stack(masks) if same else masks


def _fill_up(clip: Array, target: int, value: float) -> Array:
    width = [(0, max(0, target - len(clip)))] + [(0, 0)] * (clip.ndim - 1)
    return np.pad(clip, width, constant_values=value)


def to_tensor(value: Any, return_tensors: str) -> Any:
    """Clips of one shape as one tensor ("pt") or array ("np"). Raises `ValueError` for unequal shapes."""
    if return_tensors not in ("pt", "np"):
        raise ValueError(f"return_tensors must be 'pt' or 'np', got {return_tensors!r}")
    if len({item.shape for item in value}) > 1:
        raise ValueError(
            "Unable to create tensor, you should probably activate padding with 'padding=True' "
            "to have batched tensors with the same length."
        )
    array = np.stack(list(value))
    return torch.from_numpy(array) if return_tensors == "pt" else array
