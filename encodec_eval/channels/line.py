"""What a line does to packets: each class takes `packets`, None where one is lost, and gives back what arrives.

All chance comes from the generator that is given: the same for every system, so that systems whose packets last
equally long lose the same ones, and a higher share of loss loses those of a lower one and more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from encodec_eval.types import EvalError

Packets = list[bytes | None]


class Channel(Protocol):
    """A part of a line. `name` is that of its option, and of its share of chance."""

    @property
    def name(self) -> str: ...

    def carry(self, packets: Packets, chance: Generator) -> Packets: ...


@dataclass(frozen=True)
class Loss:
    """Loses a share of the packets, in bursts of `burst` packets on average, after Gilbert (Bell System Technical
    Journal 39, 1960): all are lost in the bad state and none in the good one. `burst` None: one by one, independently.
    """

    share: float
    burst: float | None = None
    name: str = "loss"

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise EvalError(f"loss={self.share:g} is no share; expected 0 to below 1")
        if self.burst is not None and self.burst < max(1.0, self.share / (1 - self.share)):
            least = max(1.0, self.share / (1 - self.share))
            raise EvalError(f"burst={self.burst:g} packets; expected at least {least:g} for a loss of {self.share:g}")

    def carry(self, packets: Packets, chance: Generator) -> Packets:
        return without(packets, self.lost(chance.random(len(packets))))

    def lost(self, draws: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which packets are lost, from a number of 0 to 1 for each."""
        if self.burst is None or self.share == 0:
            return draws < self.share
        leave = 1 / self.burst
        enter = leave * self.share / (1 - self.share)
        lost = np.zeros(len(draws), bool)
        bad = False
        for n, draw in enumerate(draws):
            bad = bool(draw < (self.share if n == 0 else 1 - leave if bad else enter))
            lost[n] = bad
        return lost


@dataclass(frozen=True)
class Trace:
    """Loses what a recorded line lost: a text file of 0 (arrived) and 1 (lost), one for each packet. Every clip begins
    somewhere in it; it starts over at its end."""

    path: str
    name: str = "trace"

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> NDArray[np.bool_]:
        try:
            text = "".join(Path(self.path).read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError) as error:
            raise EvalError(f"trace={self.path} cannot be read: {error}") from error
        if not text or set(text) - {"0", "1"}:
            raise EvalError(f"trace={self.path} holds no trace; expected 0 (arrived) and 1 (lost), one for each packet")
        return np.array([character == "1" for character in text])

    def carry(self, packets: Packets, chance: Generator) -> Packets:
        trace = self.read()
        start = int(chance.integers(len(trace)))
        return without(packets, trace[(start + np.arange(len(packets))) % len(trace)])


@dataclass(frozen=True)
class Jitter:
    """Delays every packet by an exponentially distributed time of `mean_ms`; what comes later than a playout buffer of
    `buffer_ms` counts as lost."""

    mean_ms: float
    buffer_ms: float = 60.0
    name: str = "jitter"

    def __post_init__(self) -> None:
        if not (self.mean_ms >= 0 and self.buffer_ms >= 0):
            raise EvalError(f"jitter={self.mean_ms:g}:buffer={self.buffer_ms:g}; expected milliseconds from 0 up")

    def carry(self, packets: Packets, chance: Generator) -> Packets:
        return without(packets, self.mean_ms * chance.standard_exponential(len(packets)) > self.buffer_ms)


@dataclass(frozen=True)
class BitErrors:
    """Flips each bit of what arrives with a probability."""

    rate: float
    name: str = "ber"

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 0.5:
            raise EvalError(f"ber={self.rate:g} is no rate of bit errors; expected 0 to 0.5")

    def carry(self, packets: Packets, chance: Generator) -> Packets:
        return [None if packet is None else flipped(packet, self.rate, chance) for packet in packets]


def flipped(packet: bytes, rate: float, chance: Generator) -> bytes:
    """The packet with each bit flipped at that rate."""
    flips = np.packbits(chance.random(8 * len(packet)) < rate)
    return (np.frombuffer(packet, np.uint8) ^ flips).tobytes()


def without(packets: Sequence[bytes | None], lost: NDArray[np.bool_]) -> Packets:
    """The packets, None for those that are lost."""
    return [None if gone else packet for packet, gone in zip(packets, lost, strict=True)]
