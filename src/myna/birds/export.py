"""A trained net as an ONNX graph that needs neither torch nor Myna."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from myna.birds.norms import BatchInstanceNorm, BatchNorm, GroupNorm, InstanceNorm, LayerNorm, Norm
from myna.birds.resnet import ResNet
from myna.birds.task import BirdModel, stored_side
from myna.engine.onnx import export_folder, largest_difference, open_graph, write_about, write_graph
from myna.files import write_text

GRAPH = "model.onnx"
README = "README.md"
_AXES = {"photos": ("batch",), "logits": ("batch",)}


def export(model: BirdModel, folder: Path) -> float:
    """Write a net as model.onnx, with model.json and README.md, which say how a photo becomes its input.

    The graph is run in onnxruntime on photos of random pixels, flat photos and noise, in batches of several sizes.

    Args:
        model: a trained net.
        folder: to write; an earlier export is replaced.

    Returns:
        the largest difference from the logits that torch computes.

    Raises:
        UserError: as `export_folder`.
    """
    size, labels = model.config.data.size, model.labels
    model.net.cpu()

    def write(new: Path) -> float:
        about = {
            "size": size,
            "stored_side": stored_side(model.config.data),
            "mean": labels.mean,
            "deviation": labels.deviation,
            "classes": labels.classes,
        }
        metadata = {key: json.dumps(value) for key, value in about.items()}
        net = with_torch_norms(model.net)
        example = {"photos": torch.zeros(2, 3, size, size)}
        write_graph(new / GRAPH, net, example, ["logits"], _AXES, metadata)
        write_about(new, study="birds", **about)
        write_text(new / README, _README.format(size=size, n_layers=model.net.n_layers, norm=model.config.model.norm))
        return compare_graph(new / GRAPH, model)

    return export_folder(folder, write)


@torch.no_grad()
def compare_graph(path: Path, model: BirdModel) -> float:
    """Return the largest difference between the logits of a graph and those of the net it was made of."""
    run, size = open_graph(path), model.config.data.size
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (5, size, size, 3), generator=generator, dtype=torch.uint8).numpy()
    pixels[3], pixels[4] = 0, 255
    photos = model.labels.normalise(list(pixels))
    noise = torch.randn(1, 3, size, size, generator=generator)
    differences = [
        largest_difference([model.net(batch)], run({"photos": batch})) for batch in (photos, photos[3:], noise)
    ]
    return float(torch.tensor(differences).max())


def with_torch_norms(net: ResNet) -> nn.Module:
    """Return a copy of a net in which torch's own norms, whose ONNX operators are known, stand for ours."""
    net = copy.deepcopy(net).eval()
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, Norm):
                setattr(module, name, _counterpart(child))
    return net.eval()


class _Sum(nn.Module):
    """Adds up what two norms make of the same maps."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        """Normalises x."""
        total: Tensor = self.first(x) + self.second(x)
        return total


def _counterpart(norm: Norm) -> nn.Module:
    """Return what computes the same in evaluation."""
    channels, eps = norm.channels, norm.eps
    if isinstance(norm, BatchInstanceNorm):
        batch, instance = nn.BatchNorm2d(channels, eps), nn.InstanceNorm2d(channels, eps, affine=True)
        state = norm.state_dict()
        gate, weight = state.pop("gate"), state["weight"]
        batch.load_state_dict(state | {"weight": weight * gate})
        instance.load_state_dict({"weight": weight * (1 - gate), "bias": torch.zeros(channels)})
        return _Sum(batch, instance)
    counterpart: nn.Module
    if isinstance(norm, BatchNorm):
        counterpart = nn.BatchNorm2d(channels, eps)
    elif isinstance(norm, InstanceNorm):
        counterpart = nn.InstanceNorm2d(channels, eps, affine=True)
    elif isinstance(norm, LayerNorm | GroupNorm):
        counterpart = nn.GroupNorm(norm.groups, channels, eps)
    else:
        raise TypeError(f"no counterpart of {type(norm).__name__}")
    counterpart.load_state_dict(norm.state_dict())
    return counterpart


_README = """\
# A net for birds, as ONNX

A ResNet of {n_layers} layers with the norm `{norm}`. `model.onnx` takes `photos`, (batch, 3, {size}, {size}) float32,
red, green and blue, and gives `logits`, (batch, classes). `model.json` holds the class names, in the order of the
logits, and the numbers with which photos are prepared; the file's own metadata holds the same.

```python
import json
import pathlib

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

about = json.loads(pathlib.Path("model.json").read_text(encoding="utf-8"))
net = onnxruntime.InferenceSession("model.onnx")
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
scale = about["stored_side"] / min(photo.size)
photo = photo.resize([max(about["stored_side"], round(scale * side)) for side in photo.size], Image.Resampling.BICUBIC)
side = min(photo.size)
left, top = (photo.width - side) / 2, (photo.height - side) / 2
square = (left, top, left + side, top + side)  # the largest in the middle
photo = photo.resize((about["size"], about["size"]), Image.Resampling.BILINEAR, box=square)
pixels = (np.asarray(photo) / 255 - about["mean"]) / about["deviation"]  # (size, size, 3)
logits = net.run(None, {{"photos": pixels.transpose(2, 0, 1)[None].astype(np.float32)}})[0][0]
name = about["classes"][logits.argmax()]
print(name)
```
"""
