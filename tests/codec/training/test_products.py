"""What training asks of matrix products ends with it."""

import pytest
import torch

from codec.training.products import fast_products


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_process_gets_its_settings_back(device):
    def settings():
        cudnn = torch.backends.cudnn
        return torch.get_float32_matmul_precision(), cudnn.benchmark, cudnn.allow_tf32

    before = settings()
    with fast_products(device):
        within = settings()
    assert settings() == before
    if device == "cuda":
        assert within == (before[0], True, False)
    else:
        assert within[1:] == before[1:]


def test_products_stay_exact():
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with fast_products("cpu"):
        product = a @ b
    torch.testing.assert_close(product, (a.double() @ b.double()).float(), atol=1e-4, rtol=1e-4)
