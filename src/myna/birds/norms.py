"""The normalisations of the study, behind one table: `NORMS[name](channels, **own)`.

The five written from scratch share one formula (see `norm_functions.py`) and differ in the pools of feature maps
that their means and variances are taken over. Where torch has a counterpart (`nn.BatchNorm2d`, `nn.InstanceNorm2d`,
`nn.GroupNorm`), tests hold ours to it in values, gradients and buffers, and `benchmarks/norms.py` in time and memory.
"""

import inspect
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from myna.birds.norm_functions import (
    Pool,
    Standardise,
    Term,
    each_map,
    full_precision,
    no_map,
    over_group,
    over_photos,
    over_processes,
    pooled_moments,
)


class Norm(nn.Module):
    """What the five norms from scratch share: weight and bias of each channel, one pool, refusals of unfit input.

    Args:
        channels: C, the number of feature maps.
        eps: Added to the variance before the root is taken.

    Attributes:
        pool: What means and variances are taken over.
        groups: Number of groups of channels, for `over_group`.

    Shape:
        Input and output: (N, C, H, W).

    Raises:
        ValueError: in `forward`, on another number of dimensions or channels, an empty dimension, or, as torch does,
            means of a single value.
    """

    pool: ClassVar["staticmethod[[Tensor], Tensor]"]
    groups = 1

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def weights(self) -> tuple[Tensor, ...]:
        """The weight of each term of the formula, (C) each."""
        return (self.weight,)

    def statistics(self, mean: Tensor, var: Tensor, map_size: int) -> list[Term]:
        """The statistics of each term, from the mean and the biased variance of each map, (N, G, K, 1, 1)."""
        return [self.term(*pooled_moments(mean, var, map_size, self.pool), self.pool)]

    def term(self, centre: Tensor, var: Tensor, pool: Pool) -> Term:
        """One term, from the moments of its pool."""
        return Term(centre, (var + self.eps).rsqrt(), pool)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises x."""
        self.check(x)
        y: Tensor = Standardise.apply(  # type: ignore[no-untyped-call]
            x, self.groups, self.statistics, self.bias, *self.weights()
        )
        return y

    def check(self, x: Tensor) -> None:
        """Refuses what are not maps for this norm."""
        if x.dim() != 4 or x.shape[1] != self.channels or x.numel() == 0:
            expected = f"(N, {self.channels}, H, W), none of them 0"
            raise ValueError(f"{type(self).__name__}: expected maps {expected}, not {tuple(x.shape)}")

    def extra_repr(self) -> str:
        """What `print(model)` shows of the arguments."""
        return f"{self.channels}, eps={self.eps}"


class InstanceNorm(Norm):
    """Instance normalisation (Ulyanov et al., arXiv 1607.08022): each map alone.

    Torch's counterpart is `nn.InstanceNorm2d(channels, affine=True)`.
    """

    pool = staticmethod(each_map)


class LayerNorm(Norm):
    """Layer normalisation (Ba et al., arXiv 1607.06450): all channels and pixels of a photo together.

    A layer is (C, H, W) here, while weight and bias belong to channels, as in Wu and He (arXiv 1803.08494, section
    3.1): `nn.LayerNorm((C, H, W))` with a weight for each pixel would tie the net to one photo size. Torch's
    counterpart is `nn.GroupNorm(1, channels)`.
    """

    pool = staticmethod(over_group)


class GroupNorm(Norm):
    """Group normalisation (Wu and He, arXiv 1803.08494): groups of neighbouring channels of a photo.

    Torch's counterpart is `nn.GroupNorm(groups, channels)`.

    Args:
        channels: C, the number of feature maps.
        groups: Number of groups; the default leaves 2, 4 and 8 channels to a group in a net of 16, 32 and 64.
        eps: Added to the variance before the root is taken.

    Raises:
        ValueError: if `groups` does not divide `channels`.
    """

    pool = staticmethod(over_group)

    def __init__(self, channels: int, groups: int = 8, eps: float = 1e-5) -> None:
        if groups < 1 or channels % groups:
            raise ValueError(f"GroupNorm: expected groups that divide {channels} channels, not {groups}")
        super().__init__(channels, eps)
        self.groups = groups

    def extra_repr(self) -> str:
        """What `print(model)` shows of the arguments."""
        return f"{self.channels}, groups={self.groups}, eps={self.eps}"


class BatchNorm(Norm):
    """Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167): each channel over all photos of a batch.

    In evaluation, running statistics take the place of those of the batch. They are what torch's counterpart
    `nn.BatchNorm2d` keeps, under its names, so that its state loads here, and back.

    Args:
        channels: C, the number of feature maps.
        eps: Added to the variance before the root is taken.
        momentum: Share of the newest batch in the running statistics; None for the plain average of all batches.
        sync: Take the photos of all processes for one batch, as `nn.SyncBatchNorm` does on GPUs.

    Attributes:
        running_mean: Buffer, (C).
        running_var: Buffer, (C), of unbiased variances.
        num_batches_tracked: Buffer, the number of batches in the running statistics.
    """

    pool = staticmethod(over_photos)
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float | None = 0.1, sync: bool = False) -> None:
        super().__init__(channels, eps)
        self.momentum = momentum
        self.sync = sync
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def statistics(self, mean: Tensor, var: Tensor, map_size: int) -> list[Term]:
        """Those of the batch, which are tracked on the way; in evaluation the running ones."""
        if not self.training:
            mean, var = (full_precision(b).view(1, 1, -1, 1, 1) for b in (self.running_mean, self.running_var))
            return [self.term(mean, var, no_map)]
        pool, n_photos = over_processes(mean) if self.sync else (self.pool, len(mean))
        centre, pooled_var = pooled_moments(mean, var, map_size, pool)  # (1, 1, C, 1, 1) both
        n_values = map_size * n_photos
        self._track(centre.flatten(), pooled_var.flatten() * (n_values / (n_values - 1)))
        return [self.term(centre, pooled_var, pool)]

    def forward(self, x: Tensor) -> Tensor:
        """Normalises x."""
        if self.training:
            return super().forward(x)
        self.check(x)
        mean, var = full_precision(self.running_mean), full_precision(self.running_var)
        scale = self.weight * (var + self.eps).rsqrt()
        offset = self.bias - scale * mean
        return (x * scale[:, None, None]).add_(offset[:, None, None]).to(x.dtype)

    def extra_repr(self) -> str:
        """What `print(model)` shows of the arguments."""
        return f"{self.channels}, eps={self.eps}, momentum={self.momentum}, sync={self.sync}"

    def _track(self, mean: Tensor, var: Tensor) -> None:
        self.num_batches_tracked += 1
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(var.to(self.running_var.dtype), share)


class BatchInstanceNorm(BatchNorm):
    """Batch-instance normalisation (Nam and Kim, arXiv 1805.07925): a gate in each channel between the two.

    y = weight * (gate * batch-normalised x + (1 - gate) * instance-normalised x) + bias; in evaluation the batch term
    has running statistics. Gates begin at 1 and are clipped to [0, 1] after each step of the optimiser, as in the
    paper. Here that happens in place at their next use, in `forward` or `state_dict`: the same projected gradient
    descent, as nothing but a running average of weights, where there is one, reads a gate in between, and one that no
    training loop can forget or need know of. (To clip inside the formula instead would strand a gate: outside [0, 1]
    it has no gradient.) The authors' code also gives gates ten times the learning rate and no weight decay; for that,
    they are the parameters named `gate`.

    Attributes:
        gate: Parameter, (C).
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float | None = 0.1, sync: bool = False) -> None:
        super().__init__(channels, eps, momentum, sync)
        self.gate = nn.Parameter(torch.ones(channels))
        self.register_state_dict_pre_hook(BatchInstanceNorm.clip_gate_)  # type: ignore[no-untyped-call]

    def weights(self) -> tuple[Tensor, ...]:
        """Those of the batch term and of the instance term."""
        return self.weight * self.gate, self.weight * (1 - self.gate)

    def statistics(self, mean: Tensor, var: Tensor, map_size: int) -> list[Term]:
        """Those of the batch and those of the map itself."""
        centre, own_var = pooled_moments(mean, var, map_size, each_map)
        return [*super().statistics(mean, var, map_size), self.term(centre, own_var, each_map)]

    def forward(self, x: Tensor) -> Tensor:
        """Clips the gates and normalises x."""
        self.clip_gate_()
        return Norm.forward(self, x)

    def clip_gate_(self, *_: object) -> None:
        """Clips the gates to [0, 1] in place; takes the arguments of a state dict hook and ignores them."""
        # Through `data`: autograd shall not object to two forward passes before one backward pass.
        self.gate.data.clamp_(0, 1)


class NoNorm(nn.Module):
    """The variant without normalisation: gives its input back.

    Args:
        channels: Not used; taken so that all norms are built alike.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Gives x."""
        return x


NORMS: dict[str, type[nn.Module]] = {
    "bn": BatchNorm,
    "in": InstanceNorm,
    "bin": BatchInstanceNorm,
    "ln": LayerNorm,
    "gn": GroupNorm,
    "nn": NoNorm,
    "inbuilt": nn.BatchNorm2d,
}


def build_norm(name: str, channels: int, **own: Any) -> nn.Module:
    """Builds `NORMS[name](channels, **own)`, after a look at the name and the options.

    Raises:
        ValueError: if there is no such norm, or if it has no such option.
    """
    if name not in NORMS:
        raise ValueError(f"norm {name!r}: expected one of {', '.join(NORMS)}")
    options = list(inspect.signature(NORMS[name]).parameters)[1:]
    for option in own:
        if option not in options:
            raise ValueError(f"norm {name!r} has no option {option!r}, only {', '.join(options) or 'none'}")
    return NORMS[name](channels, **own)
