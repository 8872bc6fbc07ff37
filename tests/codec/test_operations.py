"""The operations of the layers, against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from codec.operations import ELU_BLOCK, elu


@pytest.mark.parametrize("frames", [1, ELU_BLOCK // 16, ELU_BLOCK // 16 + 1])
def test_elu_and_its_gradient_are_those_of_torch(frames):
    x = (torch.randn(2, frames, 16, generator=torch.Generator().manual_seed(0)) * 5).requires_grad_()
    weight = torch.linspace(-1, 1, x.numel()).view_as(x)
    mine, theirs = elu(x), F.elu(x)
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(elu(x.detach()), theirs.detach(), rtol=1e-6, atol=1e-7)
    gradients = (torch.autograd.grad(y, x, weight)[0] for y in (mine, theirs))
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)
