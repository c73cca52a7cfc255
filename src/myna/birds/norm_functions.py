"""The one formula behind the norms of `norms.py`, with its analytic derivative.

For the map x[n, c] of photo n and channel c,

    y[n, c] = sum_k weight_k[c] * rstd_k[n, c] * (x[n, c] - centre_k[n, c]) + bias[c],

where centre and rstd are the mean and the inverse standard deviation over a *pool* of maps: those of the channel in
all photos (batch norm), the map alone (instance), all maps of the photo (layer), or of a group of channels (group).
Batch-instance norm alone has two terms, the first two pools weighed by a gate. Since all maps have the same size,
the moments of a pool are averages of the moments of its maps: a pool works on one number a map, and what touches
pixels is written once, here.

Numbers of maps are laid out (N, G, K): N photos, G groups of K = C / G neighbouring channels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Pool = Callable[[Tensor], Tensor]
"""Averages numbers of maps over each pool: (..., N, G, K) to a shape that broadcasts to it."""


def each_map(maps: Tensor) -> Tensor:
    """The pool of instance norm: a map is alone."""
    return maps


def over_photos(maps: Tensor) -> Tensor:
    """The pool of batch norm: a channel in all photos."""
    return maps.mean(-3, keepdim=True)  # (..., 1, G, K)


def over_group(maps: Tensor) -> Tensor:
    """The pool of group norm, and with one group of layer norm: the channels of a group in a photo."""
    return maps.mean(-1, keepdim=True)  # (..., N, G, 1)


def no_map(maps: Tensor) -> Tensor:
    """The pool of running statistics, which depend on no map: their derivative is 0."""
    return torch.zeros_like(maps)


def pooled_moments(mean: Tensor, var: Tensor, map_size: int, pool: Pool) -> tuple[Tensor, Tensor, int]:
    """Mean and biased variance over each pool from those of the maps, and the number of values in a pool.

    Shape:
        mean, var: (N, G, K). Results: as `pool` gives them.

    Raises:
        ValueError: if a pool has but one value: its deviation is 0 and the result the bias, whatever the value.
    """
    centre = pool(mean)
    n_values = map_size * mean.numel() // centre.numel()
    if n_values == 1:
        n_photos, channels = mean.shape[0], mean.shape[1] * mean.shape[2]
        raise ValueError(
            f"expected more than one value in each mean, not the single one of {n_photos} x {channels} maps of 1 x 1"
        )
    return centre, pool((mean - centre).square_().add_(var)), n_values


class Term(NamedTuple):
    """The statistics of one term of the formula.

    Attributes:
        centre: Mean over the pool, broadcastable to (N, G, K).
        rstd: 1 / sqrt(variance over the pool + eps), broadcastable likewise.
        pool: The pool, for the backward pass.
    """

    centre: Tensor
    rstd: Tensor
    pool: Pool


class Standardise(torch.autograd.Function):
    """`apply(x, groups, statistics, bias, *weights)`: the formula at the head of this file and its derivative.

    `statistics(mean, var, map_size)` gives a `Term` for each of `weights` from the mean and the biased variance of
    every map.

    To average over a pool and to spread the average over its maps is a symmetric projection P. So with s and t the
    means over a map of weight * dy and weight * dy * x, a term contributes to dx

        weight * rstd * dy - rstd * P(s) - rstd^3 * (x - centre) * (P(t) - centre * P(s)),

    the derivative of batch norm (Ioffe and Szegedy, arXiv 1502.03167, section 3) with another pool in the place of
    the batch. So dx = scale * dy + slope * x + offset, where coefficients are one number a map.

    What costs time is passes over memory: three forward (sums, squares, y), four backward (sums, products, two for
    dx). Each direction allocates one tensor as large as x, and x alone is kept in between. Half precision is computed
    in float32, statistics included; y has the dtype of x.

    Shape:
        x, y: (N, C, H, W). bias, each of weights: (C). mean, var: (N, G, K).

    Raises:
        RuntimeError: at a second derivative, which this function does not have.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        groups: int,
        statistics: Callable[[Tensor, Tensor, int], list[Term]],
        bias: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        """Gives y."""
        values = _full_precision(x)
        mean, var = (moment.view(len(x), groups, -1) for moment in _map_moments(values))  # (N, G, K)
        terms = statistics(mean, var, x.shape[2] * x.shape[3])
        scales = [weight.view(groups, -1) * term.rstd for weight, term in zip(weights, terms, strict=True)]
        shifts = [scale * term.centre for scale, term in zip(scales, terms, strict=True)]
        scale, offset = _total(scales), bias.view(groups, -1) - _total(shifts)
        scale_rows, offset_rows = _rows(x, groups, scale, offset)
        ctx.save_for_backward(x, *weights)
        ctx.groups, ctx.terms, ctx.scale = groups, terms, scale
        return torch.addcmul(offset_rows, values, scale_rows).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        """Gives the gradients of x, of bias and of each of weights."""
        x, *weights = ctx.saved_tensors
        values, grad = _full_precision(x), _full_precision(grad_y)
        grad_sums = grad.sum((2, 3)).view(len(x), ctx.groups, -1)  # (N, G, K)
        product_sums = _map_dot(values, grad).view_as(grad_sums)  # (N, G, K)
        sums = torch.stack((grad_sums, product_sums))  # (2, N, G, K)
        grad_weights, slopes, offsets = [], [], []
        for weight, (centre, rstd, pool) in zip(weights, ctx.terms, strict=True):
            grad_weights.append((rstd * (product_sums - centre * grad_sums)).sum(0).view_as(weight))
            s, t = pool(weight.view(sums.shape[2:]) * sums) / (x.shape[2] * x.shape[3])
            slopes.append(rstd**3 * (centre * s - t))
            offsets.append(slopes[-1] * centre + rstd * s)
        scale, slope, offset = _rows(x, ctx.groups, ctx.scale, _total(slopes), _total(offsets).neg_())
        grad_x = torch.addcmul(offset, grad, scale).addcmul_(values, slope)  # (N, C, H, W)
        grad_bias = grad_sums.sum(0).flatten()
        return grad_x.to(x.dtype), None, None, grad_bias, *grad_weights


def _full_precision(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _total(terms: list[Tensor]) -> Tensor:
    return sum(terms[1:], terms[0])


def _rows(x: Tensor, groups: int, *coefficients: Tensor) -> tuple[Tensor, ...]:
    """Spreads coefficients of maps over a row of the maps of x: the inner loop of a CPU kernel is then vectorised.

    Shape:
        coefficients: broadcastable to (N, G, K). Results: (N, C, 1, W).
    """
    n_photos, channels, _, width = x.shape
    of_maps = torch.stack([c.expand(n_photos, groups, channels // groups) for c in coefficients])  # (..., N, G, K)
    rows = of_maps.view(-1, n_photos, channels, 1, 1).expand(-1, -1, -1, -1, width)  # (..., N, C, 1, W)
    return rows.contiguous().unbind()


def _map_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each map, (N, C) both.

    On a CPU `torch.var_mean` takes 20 times as long as a sum, so the variance comes from sums and sums of squares.
    Where these would cancel, as some mean exceeds ten deviations, it is taken anew from centred values.
    """
    if x.device.type != "cpu":
        var, mean = torch.var_mean(x, (2, 3), correction=0)
        return mean, var
    map_size = x.shape[2] * x.shape[3]
    mean = x.sum((2, 3)).div_(map_size)
    mean_squared = mean.square()
    var = torch.linalg.vector_norm(x, dim=(2, 3)).square_().div_(map_size).sub_(mean_squared)
    if bool((mean_squared > 100 * var).any()):
        var = torch.linalg.vector_norm(x - mean[:, :, None, None], dim=(2, 3)).square_().div_(map_size)
    return mean, var


def _map_dot(a: Tensor, b: Tensor) -> Tensor:
    """Sum of a * b over each map, (N, C); on a CPU as products of a row and a column, which never write a * b."""
    if a.device.type != "cpu":
        return (a * b).sum((2, 3))
    n_maps = a.shape[0] * a.shape[1]
    rows = a.reshape(n_maps, 1, -1)  # (N * C, 1, H * W)
    columns = b.reshape(n_maps, 1, -1).mT  # (N * C, H * W, 1); as a view of rows, four times as fast
    sums = a.new_empty(n_maps, 1, 1)
    return torch.bmm(rows, columns, out=sums).view(a.shape[:2])  # with `out`, autocast leaves it alone
