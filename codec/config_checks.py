"""What each field of `EncodecConfig` may hold, for itself."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from codec.errors import short

if TYPE_CHECKING:
    import torch

# Beyond these a file can only be damaged or hostile; each alone would cost hours or all memory.
_MAX_INTEGER = 2**31 - 1
MAX_LAYERS = 1024

_NORM_TYPES = ("weight_norm", "time_group_norm")
_PAD_MODES = ("reflect", "replicate", "constant", "circular")


def to_dtype(value: Any) -> "torch.dtype | None":
    """A dtype, or its name as in "float16"; None stays. Raises `ValueError` for anything else."""
    if value is None:
        return None
    import torch  # configurations without a dtype are read without it

    dtype = getattr(torch, value.removeprefix("torch."), value) if isinstance(value, str) else value
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"expected a dtype or its name, got {short(value)}")
    return dtype


def _integer(low: int, high: int = _MAX_INTEGER) -> tuple[Callable[[Any], bool], str]:
    expected = "a positive integer" if (low, high) == (1, _MAX_INTEGER) else f"an integer from {low} to {high}"
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high, expected


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, (list, tuple)) and 1 <= len(value) <= MAX_LAYERS and all(map(of, value))


_is_ratio = _integer(1)[0]
_FLAG = (lambda value: isinstance(value, bool), "True or False")
CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "target_bandwidths": (lambda value: _is_list(value, lambda x: _is_real(x) and x > 0), "a list of positive kbps"),
    "sampling_rate": _integer(1),
    "audio_channels": _integer(1),
    "normalize": _FLAG,
    "chunk_length_s": (lambda value: value is None or (_is_real(value) and 0 < value <= 1e6), "None or positive"),
    "overlap": (lambda value: value is None or (_is_real(value) and 0 <= value < 1), "None or in [0, 1)"),
    "hidden_size": _integer(1),
    "num_filters": _integer(1),
    "num_residual_layers": _integer(0, MAX_LAYERS),
    "upsampling_ratios": (lambda value: _is_list(value, _is_ratio), "a list of integers >= 1"),
    "norm_type": (lambda value: value in _NORM_TYPES, f"one of {_NORM_TYPES}"),
    "kernel_size": _integer(1),
    "last_kernel_size": _integer(1),
    "residual_kernel_size": _integer(1),
    "dilation_growth_rate": _integer(1),
    "use_causal_conv": _FLAG,
    "pad_mode": (lambda value: value in _PAD_MODES, f"one of {_PAD_MODES}"),
    "compress": _integer(1),
    "num_lstm_layers": _integer(1, MAX_LAYERS),
    "trim_right_ratio": (lambda value: _is_real(value) and 0 <= value <= 1, "in [0, 1]"),
    "codebook_size": (
        lambda value: _integer(2, 2**16)[0](value) and value & (value - 1) == 0,
        f"a power of two from 2 to {2**16}",
    ),
    "codebook_dim": (lambda value: value is None or _is_ratio(value), "a positive integer or None"),
    "use_conv_shortcut": _FLAG,
    "return_dict": _FLAG,
}


def checked(name: str, value: Any) -> Any:
    """A field's value in its own type. Raises `ValueError` naming the field."""
    matches, expected = CHECKS[name]
    if not matches(value):
        raise ValueError(f"EncodecConfig.{name} must be {expected}, got {short(value)}")
    if name == "target_bandwidths":
        return tuple(map(float, value))
    return tuple(value) if name == "upsampling_ratios" else value
