"""How evenly codebook entries are used."""

import pytest

from codec.usage import perplexity


def test_perplexity_by_hand():
    assert perplexity([5, 5, 5, 5, 0]) == pytest.approx((2, 4))
    assert perplexity([7]) == pytest.approx((0, 1))
