"""What several systems need: names, time, devices, packed sizes."""

import math
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from encodec_eval.types import Clip, EvalError

T = TypeVar("T")


def number(value: float) -> str:
    """A number as it stands in names: 6, 1.5."""
    return f"{value:g}"


def timed(work: Callable[[], T], device: str = "cpu") -> tuple[T, float]:
    """What `work` returns, and the seconds it took."""
    start = time.perf_counter()
    result = work()
    if not device.startswith("cpu"):
        torch.cuda.synchronize()
    return result, time.perf_counter() - start


def check_device(device: str) -> None:
    """Raise `EvalError` for a device that torch does not have here."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if device.split(":")[0] not in devices:
        raise EvalError(f"device {device} is not available here; expected {' or '.join(devices)}")


def any_stereo(clips: Sequence[Clip]) -> bool:
    return any(clip.channels == 2 for clip in clips)


def payload_bytes(codes: Tensor, last_frame_pad_length: int, codebook_size: int, scaled: bool) -> int:
    """Bytes of `codes [N, K, F]` packed at the fewest whole bits, byte-aligned by segment, 4 more for its scale."""
    segments, codebooks, frames = codes.shape
    bits_per_frame = codebooks * math.ceil(math.log2(codebook_size))
    lengths = [frames] * (segments - 1) + [frames - last_frame_pad_length]
    return sum(math.ceil(bits_per_frame * length / 8) + 4 * scaled for length in lengths)
