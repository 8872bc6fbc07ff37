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
    assert within[0 if device == "cuda" else slice(1, None)] == before[0 if device == "cuda" else slice(1, None)]
    assert device == "cpu" or within[1:] == (True, False)


def test_products_stay_exact():
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with fast_products("cpu"):
        product = a @ b
    torch.testing.assert_close(product, (a.double() @ b.double()).float(), atol=1e-4, rtol=1e-4)
