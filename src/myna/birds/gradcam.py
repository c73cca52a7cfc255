"""Grad-CAM: where in a photo the maps of the last layers speak for a class.

With A_k the k-th map of a layer and w_k the mean, over the map, of the derivative of the class's logit by A_k,
the layer's map is relu(sum_k w_k A_k). Source: Selvaraju et al. 2017 (arXiv 1610.02391, equations 1 and 2).
The package pytorch-grad-cam computes it, scales each layer's map to [0, 1], enlarges it, takes the mean over the layers
and scales that to [0, 1]. This file is the only one that knows the package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from myna.birds.resnet import ResNet
from myna.errors import UserError

Maps = NDArray[np.float32]

_AT_A_TIME = 16
_NEEDED_OF_TORCHVISION = {
    "torchvision": ("ops",),
    "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
    "torchvision.transforms.functional": ("resize",),
}
"""What the package names at its import, and never uses for Grad-CAM."""


def compute_maps(
    net: ResNet,
    inputs: Tensor,
    class_ids: Sequence[int],
    *,
    at_map_size: bool = False,
    layers: Sequence[nn.Module] | None = None,
) -> Maps:
    """Return the Grad-CAM map of each photo for a class, from 0 to 1: the mean over the last 2n layers.

    The net is left as it was: hooks, modes, gradients, and which parameters ask for a gradient. A map is 0 everywhere
    where no layer speaks for the class.
    Checked against: captum's LayerGradCam, and a computation by hand (tests/birds/test_gradcam.py).

    Args:
        net: whose maps are looked at, as in evaluation.
        inputs: normalised photos.
        class_ids: of each photo, the class that is asked about.
        at_map_size: leave the maps at the size at which the net has them, H / 4 and W / 4.
        layers: whose outputs are looked at; None is `net.last_layers()`.

    Shape:
        inputs: (N, 3, H, W). Result: (N, H, W), or (N, H / 4, W / 4) with the default layers.

    Raises:
        UserError: the package is not installed.
        ValueError: there is not one class id a photo, or the net has no such class.
    """
    n_classes = net.output.out_features
    if len(class_ids) != len(inputs):
        raise ValueError(f"compute_maps: expected {len(inputs)} class ids, one a photo, not {len(class_ids)}")
    for class_id in class_ids:
        if not 0 <= class_id < n_classes:
            raise ValueError(f"compute_maps: expected class ids from 0 to {n_classes - 1}, not {class_id}")
    height, width = (side // 4 if at_map_size else side for side in inputs.shape[2:])
    maps = np.zeros((len(inputs), height, width), dtype=np.float32)
    grad_cam, target_of = _load_package()
    with _left_as_it_was(net):
        cam = grad_cam(model=net, target_layers=list(layers or net.last_layers()))
        # The size that maps are brought to before they are averaged; the package would ask the photos for theirs.
        cam.get_target_width_height = lambda photos: (width, height)
        try:
            for start in range(0, len(inputs), _AT_A_TIME):
                part = slice(start, start + _AT_A_TIME)
                # The photos ask for a gradient, so that the parameters, of which there are more, need not.
                photos = inputs[part].detach().clone().requires_grad_()
                maps[part] = cam(photos, [target_of(class_id) for class_id in class_ids[part]])
        finally:
            # Not by the package's own `with`, which swallows an IndexError.
            cam.activations_and_grads.release()
    return maps


@contextmanager
def _left_as_it_was(net: nn.Module) -> Iterator[None]:
    """Give back modes and gradients, which the package changes, and let no parameter ask for a gradient meanwhile."""
    modes = [(module, module.training) for module in net.modules()]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in net.parameters()]
    try:
        for parameter, _, _ in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None
        with torch.enable_grad():
            yield
    finally:
        for module, is_training in modes:
            module.training = is_training
        for parameter, requires_grad, gradient in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = gradient


@cache
def _load_package() -> tuple[Any, Any]:
    """Return the package's classes GradCAM and ClassifierOutputTarget.

    Raises:
        UserError: it, or something that it needs, is not installed.
    """
    try:
        with _torchvision_or_stand_ins():
            package = import_module("pytorch_grad_cam")
            targets = import_module("pytorch_grad_cam.utils.model_targets")
    except ModuleNotFoundError as error:
        raise UserError(
            f"Grad-CAM: no module {error.name}; pip install --no-deps grad-cam ttach, then opencv-python-headless tqdm"
        ) from None
    return package.GradCAM, targets.ClassifierOutputTarget


@contextmanager
def _torchvision_or_stand_ins() -> Iterator[None]:
    """Let what imports torchvision be imported where torchvision is absent, or built for another torch.

    Only inside the block do modules without content stand in for it: others ask whether torchvision is there.
    """
    if _torchvision_works():
        yield
        return
    for name, attributes in _NEEDED_OF_TORCHVISION.items():
        stand_in = ModuleType(name)
        stand_in.__dict__.update(dict.fromkeys(attributes))
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in _NEEDED_OF_TORCHVISION:
            sys.modules.pop(name, None)


def _torchvision_works() -> bool:
    """Try to import torchvision; where that fails, none of its modules stays behind."""
    before = set(sys.modules)
    try:
        import_module("torchvision.transforms.functional")
    # What a torchvision that was built for another torch fails with is anything, from a missing library to a type.
    except Exception:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "torchvision":
                del sys.modules[name]
        return False
    return True
