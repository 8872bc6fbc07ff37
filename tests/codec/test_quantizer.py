"""The residual vector quantiser: by hand, round trip, and the properties that bandwidths rest on."""

import pytest
import torch

from codec import EncodecConfig
from codec.quantizer import ResidualVectorQuantizer


def quantizer(dimension: int = 4, size: int = 8, codebooks: int = 3) -> ResidualVectorQuantizer:
    torch.manual_seed(0)
    bits_per_frame = codebooks * (size.bit_length() - 1)
    config = EncodecConfig(hidden_size=dimension, codebook_size=size, target_bandwidths=(75 * bits_per_frame / 1000,))
    return ResidualVectorQuantizer(config).double()


def test_by_hand():
    # On a line: the first codebook rounds to tens, the second what is left to ones.
    rvq = quantizer(dimension=1, size=4, codebooks=2)
    rvq.codebooks[0].embed.copy_(torch.tensor([[0.0], [10.0], [20.0], [30.0]]))
    rvq.codebooks[1].embed.copy_(torch.tensor([[-2.0], [-1.0], [1.0], [2.0]]))
    latents = torch.tensor([[[11.0, 18.2, 30.0, -7.0]]], dtype=torch.float64)
    codes = rvq.encode(latents)
    assert codes.tolist() == [[[1, 2, 3, 0]], [[2, 0, 1, 0]]]  # 30.0 leaves 0: -1 and 1 tie, the first wins
    assert rvq.decode(codes).tolist() == [[[11.0, 18.0, 29.0, -2.0]]]


def test_every_code_is_the_nearest_codeword():
    rvq = quantizer()
    residual = torch.randn(50, 4, dtype=torch.float64)
    for codebook, codes in zip(rvq.codebooks, rvq.encode(residual.T[None])[:, 0], strict=True):
        distances = torch.cdist(residual, codebook.embed)
        assert torch.equal(codes, distances.argmin(dim=1))
        residual = residual - codebook.embed[codes]


def test_fewer_codebooks_give_the_first_codes():
    rvq = quantizer()
    latents = torch.randn(2, 4, 9, dtype=torch.float64)
    assert torch.equal(rvq.encode(latents, 2), rvq.encode(latents)[:2])
    assert rvq.encode(latents).shape == (3, 2, 9)


def test_sums_of_codewords_quantise_to_themselves():
    rvq = quantizer(codebooks=2)
    rvq.codebooks[1].embed.mul_(1e-3)  # far finer than the first, so the nearest pair is the pair itself
    codes = torch.randint(0, 8, (2, 3, 11))
    assert torch.equal(rvq.encode(rvq.decode(codes)), codes)


@pytest.mark.parametrize("frames", [0, 1])
def test_empty_and_single_frames(frames):
    rvq = quantizer()
    codes = rvq.encode(torch.zeros(1, 4, frames, dtype=torch.float64))
    assert codes.shape == (3, 1, frames)
    assert rvq.decode(codes).shape == (1, 4, frames)
