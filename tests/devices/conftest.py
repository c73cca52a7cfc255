"""A device that computes on the CPU but, as a GPU does, refuses to mix its tensors with those of the CPU.

Where no GPU is at hand it shows that all that ought to be placed is placed, and that the ways which are taken on a GPU
alone give what the CPU's give. It goes by the name "meta", the one device beside the CPU that every torch knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from myna.config import OptimizerSection
from myna.engine.optim import build_optimizer

FAR = torch.device("meta")
aten = torch.ops.aten
# What a GPU takes of the CPU, too: what copies, and indices.
MAY_MIX = (
    aten._to_copy.default,
    aten.copy_.default,
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
)


class FarTensor(Tensor):
    """A tensor that says it is far away."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> FarTensor:
        layout = {"strides": near.stride(), "storage_offset": near.storage_offset(), "dtype": near.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, near.size(), device=FAR, **layout)

    def __init__(self, near: Tensor) -> None:
        self.near = near

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})

    def tolist(self) -> Any:
        return self.near.tolist()

    def numpy(self, **kwargs: Any) -> Any:
        raise TypeError("can't convert a tensor that is far away to numpy; use Tensor.cpu() first")

    __array__ = numpy


def is_far(device: Any) -> bool:
    return device is not None and torch.device(device).type == FAR.type


def compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation near, on the contents; refuse one whose tensors are of both devices."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    far = {id(tensor.near): tensor for tensor in tensors if isinstance(tensor, FarTensor)}
    near = [tensor for tensor in tensors if not isinstance(tensor, FarTensor) and tensor.dim()]
    device = kwargs.get("device")
    if function is aten._has_compatible_shallow_copy_type.default:
        return not (far and near)
    if far and near and device is None and function not in MAY_MIX:
        raise RuntimeError(f"{function}: expected all tensors on one device, but {len(near)} are on the CPU")
    if device is not None:
        kwargs = {**kwargs, "device": "cpu"}
    near_args, near_kwargs = tree_map_only(FarTensor, lambda tensor: tensor.near, (args, kwargs))
    result = function(*near_args, **near_kwargs)
    if function is aten.copy_.default:
        return args[0]
    if function is aten._pack_padded_sequence.default and far:
        return FarTensor(result[0]), result[1]
    if is_far(device) or (device is None and far):
        # What an operation changed in place stays the tensor that it was.
        return tree_map_only(Tensor, lambda tensor: far[id(tensor)] if id(tensor) in far else FarTensor(tensor), result)
    return result


class Dispatch(TorchDispatchMode):
    """Sees to what makes tensors from nothing."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


class Functions(TorchFunctionMode):
    """Sees to `torch.tensor`, whose tensor is made where dispatch does not look."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function is torch.tensor and is_far(kwargs.get("device")):
            return function(*args, **{**kwargs, "device": "cpu"}).to(FAR)
        return function(*args, **kwargs)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device that is far away; trained models are put there."""
    for half in ("birds", "mathqa"):
        monkeypatch.setattr(f"myna.{half}.task.find_device", lambda: FAR)
    autocast = torch.autocast
    monkeypatch.setattr(
        torch, "autocast", lambda kind, **settings: autocast("cpu" if kind == FAR.type else kind, **settings)
    )
    with Functions(), Dispatch():
        yield FAR


@pytest.fixture
def learn() -> Callable[..., list[float]]:
    """Puts a task's model on a device, and lets it take a step on each batch there; returns their losses."""

    def take_steps(task: Any, device: torch.device, batches: Sequence[Sequence[int]], rate: float) -> list[float]:
        task.model.to(device).train()
        optimizer = build_optimizer(task.model, OptimizerSection(learning_rate=rate))
        losses = []
        for batch in batches:
            torch.manual_seed(0)
            loss, weight = task.loss(task.model, batch, device)
            assert loss.device == weight.device == device
            (loss / weight).backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float((loss / weight).detach()))
        task.model.eval()
        return losses

    return take_steps
