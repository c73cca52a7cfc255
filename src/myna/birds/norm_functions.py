"""The one formula behind the norms of `norms.py`, with its analytic derivative.

For the map x[n, c] of photo n and channel c,

    y[n, c] = sum_k weight_k[c] * rstd_k[n, c] * (x[n, c] - centre_k[n, c]) + bias[c],

where centre and rstd are the mean and the inverse standard deviation over a *pool* of maps: those of the channel in
all photos (batch norm; those of all processes, if synchronised), the map alone (instance), all maps of the photo
(layer), or of a group of channels (group). Batch-instance norm alone has two terms, the first two pools weighed by a
gate. Since all maps have the same size, the moments of a pool are averages of the moments of its maps: a pool works on
one number a map, and what touches pixels is written once, here.

Maps are laid out (N, G, K, H, W): N photos, G groups of K = C / G neighbouring channels. Numbers of maps have the same
five dimensions, with H = W = 1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

Pool = Callable[[Tensor], Tensor]
"""Averages numbers of maps over each pool: (N, G, K, 1, 1) to a shape that broadcasts to it."""

_LONG_SUM = 4096  # float32 values


def each_map(numbers: Tensor) -> Tensor:
    """The pool of instance norm: a map is alone."""
    return numbers


def over_photos(numbers: Tensor) -> Tensor:
    """The pool of batch norm: a channel in all photos."""
    return numbers.mean(0, keepdim=True)  # (1, G, K, 1, 1)


def over_processes(mean: Tensor) -> tuple[Pool, Tensor | int]:
    """Return the pool of synchronised batch norm, a channel in the photos of all processes, and how many these are.

    Maps have to be of one size everywhere, and each process needs more than one value of a channel.

    Shape:
        mean: (N, G, K, 1, 1), of the maps of this process.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return over_photos, len(mean)
    n_photos = mean.new_tensor(len(mean))
    distributed.all_reduce(n_photos)

    def pool(numbers: Tensor) -> Tensor:
        # Of gradients too: those of all processes are of one loss, the sum of theirs.
        total = numbers.sum(0, keepdim=True)  # (1, G, K, 1, 1)
        distributed.all_reduce(total)
        return total / n_photos

    return pool, n_photos


def over_group(numbers: Tensor) -> Tensor:
    """The pool of group norm, and with one group of layer norm: the channels of a group in a photo."""
    return numbers.mean(2, keepdim=True)  # (N, G, 1, 1, 1)


def no_map(numbers: Tensor) -> Tensor:
    """The pool of running statistics, which depend on no map: their derivative is 0."""
    return torch.zeros_like(numbers)


def pooled_moments(mean: Tensor, var: Tensor, map_size: int, pool: Pool) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over each pool from those of the maps.

    Shape:
        mean, var: (N, G, K, 1, 1). Results: as `pool` gives them.

    Raises:
        ValueError: if a pool has but one value: its deviation is 0 and the result the bias, whatever the value.
    """
    centre = pool(mean)
    if map_size * mean.numel() == centre.numel():
        raise ValueError(f"expected more than one value in each mean, not 1 of {mean.numel()} maps of 1 x 1")
    distance = mean - centre
    return centre, pool(torch.addcmul(var, distance, distance))


class Term(NamedTuple):
    """The statistics of one term of the formula.

    Attributes:
        centre: Mean over the pool, broadcastable to (N, G, K, 1, 1).
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

    With z = rstd * (x - centre), and P the average over a pool and the map, a term contributes to dx

        rstd * (weight * dy - P(weight * dy) - z * P(weight * dy * z)),

    the derivative of batch norm (Ioffe and Szegedy, arXiv 1502.03167, section 3) with another pool in the place of
    the batch. In all, dx = scale * dy + slope * x + offset, where the coefficients are numbers of maps.

    What costs time is passes over memory: three forward (sums, squares, y), four backward (sums, products, two for
    dx). Each direction allocates one tensor as large as x, and x alone is kept in between. Then come the calls, some
    fifty small ones, so that they are few counts for more than what they compute. A coefficient is spread over a row
    of W equal numbers, with which the inner loop of a CPU's `addcmul` is vectorised.

    Where a mean is hundreds of deviations from 0, the sums of dy * z lose digits that centred values would keep.

    Half precision is computed in float32, statistics included; y has the dtype of x.

    Shape:
        x, y: (N, C, H, W). bias, each of weights: (C). mean, var: (N, G, K, 1, 1).

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
        values = full_precision(x)
        maps = _grouped(values, groups)
        mean, var = _map_moments(maps)
        terms = statistics(mean, var, _map_size(maps))
        offset = _per_channel(bias, groups)
        scales = []
        for weight, term in zip(weights, terms, strict=True):
            scale = _in_rows(_per_channel(weight, groups), maps) * term.rstd  # (N or 1, G, K, 1, W)
            offset = torch.addcmul(offset, scale, term.centre, value=-1)  # (N or 1, G, K, 1, W)
            scales.append(scale)
        ctx.save_for_backward(x, *weights)
        ctx.groups, ctx.terms = groups, terms
        y = torch.empty_like(values)  # (N, C, H, W), and no view, for whoever changes it in place
        torch.addcmul(offset, maps, _total(scales), out=_grouped(y, groups))
        return y.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        """Gives the gradients of x, of bias and of each of weights."""
        x, *weights = ctx.saved_tensors
        maps, grad = (_grouped(full_precision(tensor), ctx.groups) for tensor in (x, grad_y))  # (N, G, K, H, W)
        grad_sum = grad.sum((3, 4), keepdim=True)  # (N, G, K, 1, 1)
        product_sum = _map_dot(maps, grad)  # (N, G, K, 1, 1)
        grad_weights, scales, slopes, offsets = [], [], [], []
        for weight, (centre, rstd, pool) in zip(weights, ctx.terms, strict=True):
            grad_z = torch.addcmul(product_sum, centre, grad_sum, value=-1).mul_(rstd)  # sums of dy * z
            grad_weights.append(grad_z.sum(0).view_as(weight))
            weight = _per_channel(weight, ctx.groups)  # (G, K, 1, 1)
            factor = rstd / -_map_size(maps)
            slope = pool(weight * grad_z) * factor * rstd
            scales.append(_in_rows(weight, maps) * rstd)  # (N or 1, G, K, 1, W)
            slopes.append(slope)
            offsets.append(torch.addcmul(pool(weight * grad_sum) * factor, slope, centre, value=-1))
        offset = _in_rows(_total(offsets), maps).contiguous()  # (N or 1, G, K or 1, 1, W)
        grad_x = torch.addcmul(offset, grad, _total(scales)).addcmul_(maps, _total(slopes))  # (N, G, K, H, W)
        grad_bias = grad_sum.sum(0).flatten()
        return grad_x.flatten(1, 2).to(x.dtype), None, None, grad_bias, *grad_weights


def full_precision(x: Tensor) -> Tensor:
    """Gives half precision as float32, and anything else as it is."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _grouped(x: Tensor, groups: int) -> Tensor:
    return x.unflatten(1, (groups, -1))  # type: ignore[no-any-return, no-untyped-call]  # (N, G, K, H, W)


def _per_channel(parameter: Tensor, groups: int) -> Tensor:
    return parameter.view(groups, -1, 1, 1)  # (G, K, 1, 1)


def _in_rows(coefficient: Tensor, maps: Tensor) -> Tensor:
    return coefficient.expand(*coefficient.shape[:-1], maps.shape[4])  # (..., 1, W)


def _map_size(maps: Tensor) -> int:
    return maps.shape[3] * maps.shape[4]


def _total(terms: list[Tensor]) -> Tensor:
    return sum(terms[1:], terms[0])


def _map_moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each map, (N, G, K, 1, 1) both.

    On a CPU `torch.var_mean` takes 20 times as long as a sum, so the variance comes from sums and sums of squares.
    Where they would cancel, a variance being less than a hundredth of the mean square, it is taken anew from centred
    values.
    """
    if maps.device.type != "cpu":
        var, mean = torch.var_mean(maps, (3, 4), correction=0, keepdim=True)
        return mean, var
    mean = maps.mean((3, 4), keepdim=True)
    mean_square = _mean_square(maps)
    var = torch.addcmul(mean_square, mean, mean, value=-1)
    # Asked this way round, since a value that is not finite in one map says nothing of the others.
    if not float(torch.sub(var, mean_square, alpha=0.01).min()) >= 0:
        var = _mean_square(maps - mean)
    return mean, var


def _mean_square(maps: Tensor) -> Tensor:
    # A long sum loses digits: large maps are summed row by row first.
    dims = (3, 4) if _map_size(maps) <= _LONG_SUM else (4,)
    norms: Tensor = torch.linalg.vector_norm(maps, dim=dims, keepdim=True)
    return norms.square_().sum(3, keepdim=True).div_(_map_size(maps))


def _map_dot(a: Tensor, b: Tensor) -> Tensor:
    """Sum of a * b over each map, (N, G, K, 1, 1); on a CPU as products of a row and a column, which write no a * b."""
    if a.device.type != "cpu":
        return (a * b).sum((3, 4), keepdim=True)
    sums = a.new_empty(*a.shape[:3], 1, 1)
    rows = a.reshape(-1, 1, _map_size(a))  # (N * C, 1, H * W)
    columns = b.reshape(-1, 1, _map_size(b)).mT  # (N * C, H * W, 1); as a view of rows, four times as fast
    torch.bmm(rows, columns, out=sums.view(-1, 1, 1))  # with `out`, autocast leaves it alone
    return sums
