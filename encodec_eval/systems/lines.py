"""What a system offers that can send its coded audio over a line, packet by packet: a method `line`."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from encodec_eval.types import Point, System


class Line(Protocol):
    """A clip between encoder and decoder. Its rate in Hz, how long a packet lasts, and how long encoding took."""

    sample_rate: int
    packet_s: float
    encode_s: float

    def packets(self, point: Point, concealment: str) -> list[bytes]:
        """The packets that are sent for a receiver of that concealment."""

    def decode(self, point: Point, concealment: str, arrived: Sequence[bytes | None]) -> Tensor:
        """The audio `[C, T]` of what arrived, None for packets that did not, as long as what was encoded."""


@runtime_checkable
class Sender(System, Protocol):
    """A system with packets. `concealments`: names of what its receiver can do about losses, the default first."""

    concealments: ClassVar[tuple[str, ...]]

    def line(self, wav: Tensor, sample_rate: int, packet_s: float) -> Line:
        """Encode `wav [C, T]` for packets of that length. Raises `EvalError` where it has no such packets."""
