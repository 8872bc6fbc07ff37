"""Quantiser training by hand: moving averages, dead codewords, k-means, straight-through gradient."""

import pytest
import torch

from codec.config import EncodecConfig
from codec.quantizer import ResidualVectorQuantizer
from codec.training.quantizer import QuantizerTrainer, kmeans


def _quantizer(*codebooks) -> ResidualVectorQuantizer:
    """A quantiser with the given codewords."""
    size, dimension = len(codebooks[0]), len(codebooks[0][0])
    rate = 0.075 * len(codebooks) * (size.bit_length() - 1)
    quantizer = ResidualVectorQuantizer(
        EncodecConfig(hidden_size=dimension, codebook_size=size, target_bandwidths=(rate + 1e-9,))
    )
    for codebook, values in zip(quantizer.codebooks, codebooks, strict=True):
        codebook.embed.copy_(torch.tensor(values))
    return quantizer


def test_codewords_move_to_the_mean_of_what_they_are_given():
    quantizer = _quantizer([[0.0, 0.0], [4.0, 4.0]])
    trainer = QuantizerTrainer(quantizer, decay=0.5)
    trainer.started = True
    latents = torch.tensor([[[1.0, 5.0, 7.0], [0.0, 4.0, 4.0]]])  # (1,0) to the first, (5,4) and (7,4) to the second
    quantized, codes = trainer(latents, 1)
    assert codes.tolist() == [[[0, 1, 1]]]
    assert quantized[0].tolist() == [[0.0, 4.0, 4.0], [0.0, 4.0, 4.0]]  # with the codewords from before
    # Counts 1 and 1 become 1 and 1.5; sums (0,0) and (4,4) become (.5,0) and (8,6).
    torch.testing.assert_close(quantizer.codebooks[0].embed, torch.tensor([[0.5, 0.0], [16 / 3, 4.0]]))


def test_second_codebook_quantises_the_residual_of_items_that_use_it():
    quantizer = _quantizer([[0.0], [10.0]], [[-1.0], [1.0]])
    trainer = QuantizerTrainer(quantizer).eval()
    quantized, codes = trainer(torch.tensor([[[9.2]], [[9.2]]]), [1, 2])
    assert codes[:, :, 0].tolist() == [[1, 1], [0, 0]]
    assert quantized.flatten().tolist() == pytest.approx([10.0, 9.0])
    assert quantizer.codebooks[0].embed.tolist() == [[0.0], [10.0]]  # evaluation learns nothing


def test_gradient_passes_straight_through():
    trainer = QuantizerTrainer(_quantizer([[0.0], [10.0]])).eval()
    latents = torch.tensor([[[9.0, 1.0]]], requires_grad=True)
    quantized, _ = trainer(latents, 1)
    quantized.mul(torch.tensor([2.0, 3.0])).sum().backward()
    assert latents.grad.tolist() == [[[2.0, 3.0]]]


def test_a_dead_codeword_is_replaced_by_a_residual():
    quantizer = _quantizer([[0.0], [100.0]])
    trainer = QuantizerTrainer(quantizer, decay=0.5, dead_below=0.5)
    trainer.started = True
    for _ in range(3):
        trainer(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 1)
    assert float(quantizer.codebooks[0].embed[1]) in (1.0, 2.0, 3.0, 4.0)


def test_start_fits_every_stage_and_the_same_seed_repeats_it():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(4, 3, 500, generator=generator)
    results = []
    for _ in range(2):
        quantizer = _quantizer(*[[[0.0] * 3] * 16] * 3)
        trainer = QuantizerTrainer(quantizer, seed=1)
        with torch.random.fork_rng():
            trainer.start(latents)
        errors = [float((latents - trainer.eval()(latents, k)[0]).pow(2).mean()) for k in (1, 2, 3)]
        assert 1 > errors[0] > errors[1] > errors[2]
        assert errors[2] < 0.05  # 12 bits for 3 normal numbers; the rate-distortion bound is 2^-8
        results.append(torch.stack([codebook.embed for codebook in quantizer.codebooks]))
    assert torch.equal(*results)


def test_kmeans_finds_separate_clusters():
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = (centres[:, None] + 0.1 * torch.randn(3, 50, 2, generator=generator)).reshape(-1, 2)
    found = kmeans(points, 3, 20, generator)
    distances = torch.cdist(centres, found).min(dim=1).values
    assert float(distances.max()) < 0.1


def test_kmeans_on_a_sample_ends_at_the_means_of_all_points():
    generator = torch.Generator().manual_seed(1)  # one that begins in all three clusters
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    groups = centres[:, None] + torch.randn(3, 400, 2, generator=generator)
    found = kmeans(groups.reshape(-1, 2), 3, 10, generator, sample=60)
    distances = torch.cdist(groups.mean(dim=1), found).min(dim=1).values
    assert float(distances.max()) < 1e-5


def test_numbers_of_codebooks_are_checked():
    with pytest.raises(ValueError, match="1 to 1"):
        QuantizerTrainer(_quantizer([[0.0], [1.0]]))(torch.zeros(1, 1, 3), 2)
