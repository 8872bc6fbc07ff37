"""Systems that bound the others: the clip itself, and the low-pass anchors of listening tests."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.signal
import torch
from torch import Tensor

from encodec_eval.systems.shared import number
from encodec_eval.types import Clip, EvalError, Output, Point


@dataclass(frozen=True)
class Identity:
    """The clip itself: what each metric gives at best."""

    kind: ClassVar[str] = "identity"
    packages: ClassVar[tuple[str, ...]] = ()
    points: Sequence[Point] = (Point("identity", "identity"),)

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """It has none."""

    @classmethod
    def build(cls, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> "list[Identity]":
        return [cls()]

    def describe(self) -> dict[str, object]:
        return {"system": "identity"}

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        return [Output(point, wav, sample_rate) for point in points]


@dataclass(frozen=True)
class Lowpass:
    """The anchors of ITU-R BS.1534-3: linear-phase low-pass at 3.5 and 7 kHz, delay removed, no bytes."""

    kind: ClassVar[str] = "anchors"
    packages: ClassVar[tuple[str, ...]] = ()
    cutoffs: tuple[int, ...] = (3500, 7000)

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """It has none."""

    @classmethod
    def build(cls, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> "list[Lowpass]":
        return [cls()]

    @property
    def points(self) -> Sequence[Point]:
        return [Point(f"lowpass@{number(cutoff / 1000)}k", "lowpass") for cutoff in sorted(self.cutoffs)]

    def describe(self) -> dict[str, object]:
        return {"system": "lowpass", "cutoffs": sorted(self.cutoffs)}

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        cutoffs = {point.name: cutoff for point, cutoff in zip(self.points, sorted(self.cutoffs), strict=True)}
        return [Output(point, lowpass(wav, sample_rate, cutoffs[point.name]), sample_rate) for point in points]


def lowpass(wav: Tensor, sample_rate: int, cutoff: float) -> Tensor:
    """`wav [C, T]` below `cutoff` Hz: ripple 0.006 dB up to it, -63 dB at 500 Hz and -72 dB at 1 kHz above it."""
    if cutoff + 500 >= sample_rate / 2:
        raise EvalError(
            f"low-pass at {number(cutoff)} Hz needs a rate above {number(2 * cutoff + 1000)} Hz, not {sample_rate}"
        )
    taps = 2 * round(200 * sample_rate / 48000) + 1
    kernel = scipy.signal.firwin(taps, cutoff + 250, window=("kaiser", 6), fs=sample_rate)
    delay = taps // 2
    filtered = scipy.signal.oaconvolve(wav.numpy().astype(np.float64), kernel[None], axes=-1)
    return torch.from_numpy(filtered[:, delay : delay + wav.shape[-1]].astype(np.float32))


SYSTEMS = [Lowpass, Identity]
