"""Faster products of matrices and convolutions, as exact as those they replace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def fast_products(device: str) -> Iterator[None]:
    """On a CPU let oneDNN multiply: MKL takes AMD processors with AVX-512 twice as long. On a GPU let cuDNN try its
    algorithms.

    Never at the price of rounding, which the loudness loss hears: not oneDNN on processors with AMX, which would round
    to bfloat16, and no TensorFloat-32 in convolutions.
    """
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.benchmark, cudnn.allow_tf32
    if device == "cpu" and not torch.cpu._is_amx_tile_supported():
        torch.set_float32_matmul_precision("medium")
    elif device.startswith("cuda"):
        cudnn.benchmark, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.benchmark, cudnn.allow_tf32 = before[1:]
