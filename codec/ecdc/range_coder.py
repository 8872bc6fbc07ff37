"""Arithmetic coder over integer frequencies, on whole numbers only; its bits are those of EnCodec's `.ecdc` streams.

The coder holds an interval `[low, high]` of integers that share no leading bit. Before a symbol, bits are added to the
right until the interval holds at least `TOTAL` numbers; then it shrinks to the symbol's share and the leading bits that
both ends have in common leave for the stream. The width of an interval is then always below `2 * TOTAL`, so the
products below fit in 64 bits and the floating-point formulas of the original coder are exact: integers give its bytes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from codec.errors import EcdcError
from codec.lm import TOTAL, TOTAL_BITS

# Ends that straddle a power of two (0111..., 1000...) keep their bits back. Random data never keeps back more than some
# forty; without a limit a hostile file could make the numbers, and the time for each symbol, grow with its size.
MAX_PENDING_BITS = 4096


class _Interval:
    def __init__(self) -> None:
        self.low, self.high, self.bits = 0, 0, 0

    def missing_bits(self) -> int:
        """How many bits to add to the right before the next symbol."""
        width = self.high - self.low + 1
        count = max(0, TOTAL_BITS + 1 - width.bit_length())
        if self.bits + count > MAX_PENDING_BITS:
            raise EcdcError(f"arithmetic coder keeps back more than {MAX_PENDING_BITS} bits: the stream is damaged")
        return count

    def widen(self, count: int) -> None:
        self.low <<= count
        self.high = ((self.high + 1) << count) - 1
        self.bits += count

    def narrow(self, start: int, end: int) -> None:
        """Shrink to the share `[start, end)` of `TOTAL`, rounded inwards."""
        width = self.high - self.low + 1
        self.high = self.low + ((end - 1) * width >> TOTAL_BITS)
        self.low -= -start * width >> TOTAL_BITS

    def drop_common(self) -> tuple[int, int]:
        """Remove the leading bits both ends share: `(their value, how many)`."""
        keep = (self.low ^ self.high).bit_length()
        count = self.bits - keep
        value = self.low >> keep
        mask = (1 << keep) - 1
        self.low &= mask
        self.high &= mask
        self.bits = keep
        return value, count


# The stream's first bit is the lowest of its first byte; Python's integers shift the other way.
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class RangeEncoder:
    """Writes symbols, as `(start, end)` shares of `TOTAL`, to the binary file object `file`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._interval = _Interval()
        self._value, self._count = 0, 0

    def push(self, start: int, end: int) -> None:
        """Code a symbol that owns the cumulative frequencies from `start` to below `end`, at least two of them."""
        if not 0 <= start <= end - 2 <= TOTAL - 2:
            raise ValueError(f"a symbol's share must be at least 2 wide within 0 to {TOTAL}, not [{start}, {end})")
        interval = self._interval
        interval.widen(interval.missing_bits())
        interval.narrow(start, end)
        self._emit(*interval.drop_common())

    def finish(self) -> None:
        """Write what is left and zero bits up to a whole byte; the coder is then spent."""
        self._emit(self._interval.low, self._interval.bits)
        self._emit(0, -self._count % 8)
        self._flush()

    def _emit(self, value: int, count: int) -> None:
        self._value = self._value << count | value
        self._count += count
        if self._count >= 512:
            self._flush()

    def _flush(self) -> None:
        size, rest = divmod(self._count, 8)
        self._file.write((self._value >> rest).to_bytes(size, "big").translate(_MIRROR))
        self._value &= (1 << rest) - 1
        self._count = rest


class RangeDecoder:
    """Reads symbols back from the binary file object `file`, taking no byte more than its encoder wrote."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._interval = _Interval()
        self._current = 0
        self._value, self._count = 0, 0

    def pull(self, cumulative: Sequence[int] | NDArray[np.int64]) -> int:
        """Decode a symbol, given the increasing ends of all symbols' shares, each at least 2 wide, at most `TOTAL`.

        Raises `EcdcError` where the stream ends early or holds what no encoder writes.
        """
        interval = self._interval
        count = interval.missing_bits()
        interval.widen(count)
        self._current = self._current << count | self._read(count)
        width = interval.high - interval.low + 1
        offset = self._current - interval.low
        symbol = bisect_right(cumulative, (offset << TOTAL_BITS) // width)
        end = int(cumulative[symbol]) if symbol < len(cumulative) else 0
        if offset > (end - 1) * width >> TOTAL_BITS:
            raise EcdcError("the entropy-coded stream holds a value that no encoder writes: it is damaged")
        interval.narrow(int(cumulative[symbol - 1]) if symbol else 0, end)
        interval.drop_common()
        self._current &= (1 << interval.bits) - 1
        return symbol

    def finish(self) -> None:
        """Check that the stream ends as an encoder ends it: the interval's low end, then zero bits to a whole byte."""
        if self._current != self._interval.low or self._value:
            raise EcdcError("the entropy-coded stream does not end where its encoder ended: it is damaged")

    def _read(self, count: int) -> int:
        if count > self._count:
            size = (count - self._count + 7) // 8
            data = self._file.read(size)
            if len(data) != size:
                raise EcdcError("the entropy-coded stream ends too early")
            self._value = self._value << 8 * size | int.from_bytes(data.translate(_MIRROR), "big")
            self._count += 8 * size
        self._count -= count
        value = self._value >> self._count
        self._value &= (1 << self._count) - 1
        return value
