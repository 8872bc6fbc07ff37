"""Fixed-width integers <-> bytes: value after value, the low bits of a byte first, zero bits to fill the last byte."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codec.errors import EcdcError

MAX_BITS = 16
_POWERS = 2 ** np.arange(MAX_BITS, dtype=np.float32)


def packed_size(count: int, bits: int) -> int:
    """Bytes that `count` values of `bits` bits take."""
    return -(-count * bits // 8)


def pack(values: ArrayLike, bits: int) -> bytes:
    """Pack integers of any shape, in C order, into `packed_size(count, bits)` bytes.

    Raises `EcdcError` if a value does not fit into `bits` bits (1 to 16).
    """
    _check_bits(bits)
    flat = np.asarray(values).reshape(-1)
    # The OR of all values is negative if one is, and has every bit that one has.
    if flat.size and (flat.dtype.kind not in "iu" or not 0 <= int(np.bitwise_or.reduce(flat)) < 1 << bits):
        raise EcdcError(f"values to pack in {bits} bits must be integers from 0 to {(1 << bits) - 1}")
    words = np.zeros(-(-flat.size // 4) * 4, "<u2")
    words[: flat.size] = flat
    # Neighbours are joined, twice, to four values in the low bits of a 64-bit word: fewer rows for `unpackbits`.
    for half, width in ((16, bits), (32, 2 * bits)):
        words = words.view(f"<u{half // 4}")
        words = words & ((1 << half) - 1) | words >> half << width
    spread = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, count=4 * bits, bitorder="little")
    return np.packbits(spread, bitorder="little").tobytes()[: packed_size(flat.size, bits)]


def unpack(data: bytes, count: int, bits: int) -> NDArray[np.int64]:
    """Read `count` values of `bits` bits (1 to 16) from the start of `data`.

    Raises `EcdcError` if `data` is too short, before anything of the size of `count` is allocated.
    """
    _check_bits(bits)
    size = packed_size(count, bits)
    if count < 0 or size > len(data):
        raise EcdcError(f"{count} values of {bits} bits take {size} bytes; only {len(data)} are there")
    spread = np.unpackbits(np.frombuffer(data, np.uint8, size), count=count * bits, bitorder="little")
    # float32 is exact below 2^24, and its product the fastest way to sum the bits.
    return (spread.reshape(count, bits).astype(np.float32) @ _POWERS[:bits]).astype(np.int64)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= MAX_BITS:
        raise EcdcError(f"the width of packed values must be 1 to {MAX_BITS} bits, not {bits}")
