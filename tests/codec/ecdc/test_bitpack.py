"""Bit packing: by hand, round trip, and against encodec's packer."""

import io

import numpy as np
import pytest
from encodec.binary import BitPacker
from hypothesis import given
from hypothesis import strategies as st

from codec.ecdc.bitpack import pack, packed_size, unpack
from codec.errors import EcdcError


def test_by_hand() -> None:
    # 1023 fills the first byte and two low bits of the second; 1 follows from the third bit on.
    assert pack([1023, 1], 10) == bytes([0xFF, 0b00000111, 0x00])
    assert unpack(bytes([0xFF, 0b00000111, 0x00]), 2, 10).tolist() == [1023, 1]
    assert pack([1, 0, 1], 1) == bytes([0b101])
    assert pack([], 10) == b""


@given(st.integers(1, 16), st.data())
def test_round_trip_and_parity(bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), max_size=100))
    packed = pack(values, bits)
    expected = io.BytesIO()
    packer = BitPacker(bits, expected)
    for value in values:
        packer.push(value)
    packer.flush()
    assert packed == expected.getvalue()
    assert len(packed) == packed_size(len(values), bits)
    assert unpack(packed, len(values), bits).tolist() == values


def test_any_shape_in_c_order() -> None:
    values = np.arange(24).reshape(2, 3, 4)
    assert pack(values, 10) == pack(values.reshape(-1), 10)


@pytest.mark.parametrize("values", [[1024], [-1], [0.5]])
def test_values_that_do_not_fit(values: list[float]) -> None:
    with pytest.raises(EcdcError, match="0 to 1023"):
        pack(values, 10)


def test_short_data_and_bad_width() -> None:
    with pytest.raises(EcdcError, match="take 2 bytes; only 1"):
        unpack(b"\0", 1, 10)
    with pytest.raises(EcdcError, match="only 3 are there"):
        unpack(b"abc", 10**18, 10)
    with pytest.raises(EcdcError, match="-1 values"):
        unpack(b"abc", -1, 10)
    for bits in (0, 17):
        with pytest.raises(EcdcError, match="1 to 16"):
            pack([0], bits)
