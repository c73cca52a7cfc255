"""What matrix products and a net's convolutions reach by themselves: the limit of what is built of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from harness import Variant
from torch import Tensor, nn

SIDE = 1024
PRODUCT = f"a {SIDE} x {SIDE} product"


def product() -> Variant:
    """Return a product of two square matrices."""
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    return Variant(lambda: a @ b, 2 * SIDE**3 / 1e9, "GFLOP")


def convolutions(net: nn.Module, photos: Tensor) -> Callable[[], None]:
    """Return what runs each convolution of a net forwards and backwards, at its place's shape, and nothing else."""
    parts: list[tuple[nn.Module, Tensor, Tensor]] = []

    def keep(conv: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # The first convolution needs no gradient of the photos.
        parts.append((conv, torch.randn_like(inputs[0]).requires_grad_(bool(parts)), torch.randn_like(output)))

    handles = [module.register_forward_hook(keep) for module in net.modules() if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        net(photos)
    for handle in handles:
        handle.remove()

    def run() -> None:
        for conv, x, gradient in parts:
            conv(x).backward(gradient)
            x.grad = None
            conv.zero_grad()

    return run
