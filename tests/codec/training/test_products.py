"""What training asks of matrix products ends with it."""

import pytest
import torch

from codec.training.products import products_by_onednn


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_process_gets_its_precision_back(device):
    before = torch.get_float32_matmul_precision()
    with products_by_onednn(device):
        within = torch.get_float32_matmul_precision()
    assert torch.get_float32_matmul_precision() == before
    assert device == "cpu" or within == before


def test_products_stay_exact():
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with products_by_onednn("cpu"):
        product = a @ b
    torch.testing.assert_close(product, (a.double() @ b.double()).float(), atol=1e-4, rtol=1e-4)
