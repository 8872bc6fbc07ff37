"""Systems with a known behaviour, in a module of their own so that worker processes can load them."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from encodec_eval.types import Clip, Output, Point


@dataclass(frozen=True)
class Fake:
    """Applies a function `(wav, sample_rate) -> wav` to the clip."""

    packages: ClassVar[tuple[str, ...]] = ()
    name: str
    change: Callable[[torch.Tensor, int], torch.Tensor]

    @property
    def points(self) -> Sequence[Point]:
        return [Point(self.name, self.name)]

    def describe(self) -> dict[str, object]:
        return {"system": self.name}

    def process(self, wav, sample_rate, points, clip=None) -> list[Output]:
        return [Output(point, self.change(wav, sample_rate), sample_rate) for point in points]


@dataclass(frozen=True)
class Deadly:
    """Kills its process at one clip, `times` times, counted by files in a folder; else it is the identity."""

    packages: ClassVar[tuple[str, ...]] = ()
    clip: str
    times: int
    folder: str

    @property
    def points(self) -> Sequence[Point]:
        return [Point("deadly", "deadly")]

    def describe(self) -> dict[str, object]:
        return {"system": "deadly"}

    def process(self, wav, sample_rate, points, clip: Clip | None = None) -> list[Output]:
        deaths = len(list(Path(self.folder).glob("death-*")))
        if clip is not None and clip.id == self.clip and deaths < self.times:
            (Path(self.folder) / f"death-{deaths}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [
            Output(point, wav * 0.5 + 0.01 * torch.cos(torch.arange(wav.shape[-1])), sample_rate) for point in points
        ]


def polarity(wav, sample_rate):
    return -wav


def silence(wav, sample_rate):
    return torch.zeros_like(wav)


def nan(wav, sample_rate):
    return torch.full_like(wav, torch.nan)


def truncated(wav, sample_rate):
    return wav[:, : -sample_rate // 2]


def delayed(wav, sample_rate):
    return torch.nn.functional.pad(noisy(wav, sample_rate), (round(0.02 * sample_rate), 0))[:, : wav.shape[-1]]


def noisy(wav, sample_rate):
    noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(0))
    return wav + 0.01 * noise


def raises(wav, sample_rate):
    raise RuntimeError("this system is broken")


def out_of_memory(wav, sample_rate):
    raise MemoryError


def slow(wav, sample_rate):
    time.sleep(10)
    return noisy(wav, sample_rate)
