"""Arithmetic coder: by hand, round trip, bytes of encodec's coder, damaged streams."""

import io

import numpy as np
import pytest
import torch
from encodec.quantization.ac import ArithmeticCoder, ArithmeticDecoder
from hypothesis import given
from hypothesis import strategies as st

from codec.ecdc.range_coder import MAX_PENDING_BITS, RangeDecoder, RangeEncoder
from codec.errors import EcdcError
from codec.lm import TOTAL

Tables = list[list[int]]


def encode(symbols: list[int], tables: Tables) -> bytes:
    file = io.BytesIO()
    coder = RangeEncoder(file)
    for symbol, table in zip(symbols, tables, strict=True):
        coder.push(table[symbol - 1] if symbol else 0, table[symbol])
    coder.finish()
    return file.getvalue()


def random_tables(rng: np.random.Generator, steps: int, skew: float) -> tuple[list[int], Tables]:
    symbols, tables = [], []
    for _ in range(steps):
        size = int(rng.integers(1, 1100))
        weights = np.exp(skew * rng.standard_normal(size))
        shares = 2 + np.floor((TOTAL - 2 * size) * weights / weights.sum()).astype(int)
        symbols.append(int(rng.integers(size)))
        tables.append(np.minimum(np.cumsum(shares), TOTAL).tolist())
    return symbols, tables


def test_by_hand() -> None:
    half = [TOTAL // 2, TOTAL]
    # Each half takes one bit, from the lowest of the first byte on: 0, 1, 1; then the interval's low end.
    assert encode([0, 1, 1], [half] * 3) == bytes([0b110, 0, 0, 0])
    assert encode([], []) == b""


@pytest.mark.parametrize("skew", [0.0, 1.0, 5.0, 30.0])
def test_bytes_of_encodec(skew: float) -> None:
    symbols, tables = random_tables(np.random.default_rng(int(skew)), 200, skew)
    expected = io.BytesIO()
    oracle = ArithmeticCoder(expected)
    for symbol, table in zip(symbols, tables, strict=True):
        oracle.push(symbol, torch.tensor(table))
    oracle.flush()
    data = encode(symbols, tables)
    assert data == expected.getvalue()
    reader = ArithmeticDecoder(io.BytesIO(data))
    assert [reader.pull(torch.tensor(table)) for table in tables] == symbols


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from([0.0, 1.0, 30.0]))
def test_round_trip(seed: int, steps: int, skew: float) -> None:
    symbols, tables = random_tables(np.random.default_rng(seed), steps, skew)
    data = encode(symbols, tables)
    file = io.BytesIO(data + b"next")
    decoder = RangeDecoder(file)
    assert [decoder.pull(table) for table in tables] == symbols
    decoder.finish()
    assert file.read() == b"next"


def test_damage_is_an_error_or_other_symbols_but_never_a_crash() -> None:
    symbols, tables = random_tables(np.random.default_rng(3), 40, 2.0)
    data = encode(symbols, tables)
    noticed = 0
    for position in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        decoder = RangeDecoder(io.BytesIO(flipped))
        try:
            decoded = [decoder.pull(table) for table in tables]
            decoder.finish()
        except EcdcError:
            noticed += 1
        else:
            assert decoded != symbols
    assert noticed
    for size in range(len(data)):
        decoder = RangeDecoder(io.BytesIO(data[:size]))
        with pytest.raises(EcdcError, match="too early"):
            [decoder.pull(table) for table in tables]


def test_a_gap_between_shares_is_damage() -> None:
    """After the share of symbol 0 the interval's width is odd: no symbol's rounded share holds its middle."""
    table = [TOTAL // 4, TOTAL // 2]
    with pytest.raises(EcdcError, match="no encoder writes"):
        RangeDecoder(io.BytesIO(b"\xff" * 8)).pull(table)


def test_pending_bits_are_limited() -> None:
    """Shares around one half for ever: the ends straddle a power of two, and no bit can leave."""
    coder = RangeEncoder(io.BytesIO())
    interval = coder._interval

    def push_around_the_middle() -> None:
        middle = (1 << interval.bits - 1) - interval.low
        start = middle * TOTAL // (interval.high - interval.low + 1) - 2
        coder.push(start, start + 4)

    coder.push(TOTAL // 2 - 2, TOTAL // 2 + 2)
    for _ in range(MAX_PENDING_BITS // 22 - 2):
        push_around_the_middle()
    assert interval.bits > MAX_PENDING_BITS - 66
    with pytest.raises(EcdcError, match="more than 4096 bits"):
        [push_around_the_middle() for _ in range(4)]


def test_shares_are_checked() -> None:
    coder = RangeEncoder(io.BytesIO())
    for start, end in [(0, 1), (-1, 5), (TOTAL - 1, TOTAL + 1), (5, 4)]:
        with pytest.raises(ValueError, match="at least 2 wide"):
            coder.push(start, end)
