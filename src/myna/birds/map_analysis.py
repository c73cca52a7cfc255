"""What Grad-CAM maps are worth, in figures: where they lie, and whether they say what the net goes by.

All on one drawn sample of val, for the correct class of each photo. An interval is the 95 % percentile bootstrap over
photos (Efron 1979). Controls are rankings of pixels that know nothing of the photo: the map of *another photo*, a
Gaussian in the *centre*, and *random* blobs as coarse as a map.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional

from myna.birds.assessment import check_classes
from myna.birds.gradcam import Maps, compute_maps
from myna.birds.resnet import Layer, ResNet
from myna.birds.splits import BirdSplits, PhotoFile
from myna.birds.task import BirdModel, build_resnet, open_labelled
from myna.birds.views import EvalView
from myna.engine.tracking import progress

SPLIT = "val"
CENTRE, BORDER = 1 / 2, 1 / 8
"""Side of the central box, and breadth of the border, as shares of the photo's side."""
FEWEST = 10
"""Photos of a group whose mean is compared: of fewer, an interval by resampling is too narrow."""
CONTROLS = ("other photo", "centre", "random")
N_STEPS = 8
"""In which the pixels of a photo are deleted or inserted."""
_BLUR = 1 / 16
"""Deviation of the blur from which insertion begins, as a share of the photo's side."""
_FEW_PHOTOS = 64
"""For what takes many passes a photo."""
_EVAL_BATCH = 64
_GRADIENT_BATCH = 16
Values = NDArray[np.float64]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """Photos as a net sees them.

    Attributes:
        inputs: (N, 3, size, size).
        class_ids: of each.
    """

    inputs: Tensor
    class_ids: list[int]

    @classmethod
    def read(cls, model: BirdModel, photos: Sequence[PhotoFile]) -> Sample:
        """Read photos; those that are broken are left out."""
        cache, class_ids = open_labelled(photos, model.config.data)
        view = EvalView(model.config.data.size)
        return cls(model.normalise([view(cache[i]) for i in range(len(cache))]), class_ids)


def analyse_maps(
    model: BirdModel,
    splits: BirdSplits,
    others: Mapping[str, BirdModel] | None = None,
    *,
    n_photos: int = 200,
    seed: int = 0,
) -> Figures:
    """Measure the maps of a net on photos of val, as plain JSON values.

    A mean comes as `{"mean", "low", "high"}`. Checked against: computations by hand (tests/birds/test_map_analysis.py).

    Args:
        model: the net; left in eval mode.
        splits: of the same classes.
        others: nets by name, with whose maps of the same photos these are compared.
        n_photos: how many are drawn; all where there are no more.
        seed: of the sample, the controls and the random weights.

    Returns:
        `n_photos`, `n_right` (named rightly), `n_empty` (maps that are 0 everywhere; they count as even), `seed`;
        `centre`, `border`: `share` of a map's mass in the middle half of height and width, and within an eighth of
        the edge, and `even_share`, that of an even map;
        `right_wrong`: for `centre_share` and `entropy` (1 is an even map, 0 a single pixel), the means `right` and
        `wrong` and their `difference`, wrong less right; None where fewer than `FEWEST` photos are of one kind;
        `weight_share`: see `measure_weights`;
        `deletion`, `insertion`: see `measure_deletion`;
        `agreement`: for each other net its `name`, the rank correlation of `same` photo's maps, and of `other` photos';
        `randomisation`: see `measure_randomisation`.

    Raises:
        UserError: a net knows other classes than the data has.
    """
    others = others or {}
    for each in (model, *others.values()):
        check_classes(each.labels.classes, splits.classes)
    photos = draw_photos(splits.named(SPLIT), n_photos, seed)
    sample = Sample.read(model, photos)
    net = model.net.eval()
    n_parts = 4 + len(others)
    with progress("measuring maps", n_parts) as tick:
        maps = compute_maps(net, sample.inputs, sample.class_ids)
        small = compute_maps(net, sample.inputs, sample.class_ids, at_map_size=True)
        tick()
        is_right = predict(net, sample.inputs) == np.array(sample.class_ids)
        figures = {
            "n_photos": len(maps),
            "n_right": int(is_right.sum()),
            "seed": seed,
            **measure_places(maps, is_right),
        }
        few = Sample(sample.inputs[:_FEW_PHOTOS], sample.class_ids[:_FEW_PHOTOS])
        figures["weight_share"] = measure_weights(net, few)
        rankings = {"gradcam": maps, **make_controls(maps, seed)}
        figures |= measure_deletion(net, sample, rankings)
        tick(2)
        figures["agreement"] = []
        for name, other in others.items():
            seen = Sample.read(other, photos)
            other_maps = compute_maps(other.net.eval(), seen.inputs, seen.class_ids, at_map_size=True)
            figures["agreement"].append({"name": name, **measure_agreement(small, other_maps)})
            tick()
        torch.manual_seed(seed)
        fresh = build_resnet(model.config.model, len(model.labels.classes)).to(model.device)
        figures["randomisation"] = measure_randomisation(net, fresh, few)
        tick()
    return figures


def draw_photos(photos: Sequence[PhotoFile], n: int, seed: int) -> list[PhotoFile]:
    """Return n photos drawn without replacement, in random order; all of them where there are no more."""
    order = np.random.default_rng(seed).permutation(len(photos))[:n]
    return [photos[i] for i in order]


@torch.no_grad()
def compute_probabilities(net: ResNet, inputs: Tensor) -> Tensor:
    """Return the probability of every class, (N, n_classes), for inputs, (N, 3, H, W)."""
    logits: Tensor = net(inputs)
    return logits.softmax(1)


def predict(net: ResNet, inputs: Tensor) -> NDArray[np.int64]:
    """Return the class that the net names for each photo, (N)."""
    parts = [inputs[start : start + _EVAL_BATCH] for start in range(0, len(inputs), _EVAL_BATCH)]
    return torch.cat([compute_probabilities(net, part).argmax(1) for part in parts]).cpu().numpy()


def measure_places(maps: Maps, is_right: NDArray[np.bool_]) -> Figures:
    """Return where the mass of maps, (N, H, W), lies; see `analyse_maps`."""
    masses, n_empty = spread_mass(maps)
    side = maps.shape[1]
    shares = {
        "centre": (masses * box_mask(side, (1 - CENTRE) / 2)).sum((1, 2)),  # (N)
        "border": (masses * ~box_mask(side, BORDER)).sum((1, 2)),
    }
    even = {"centre": box_mask(side, (1 - CENTRE) / 2).mean(), "border": 1 - box_mask(side, BORDER).mean()}
    compared = {"centre_share": shares["centre"], "entropy": measure_entropy(masses)}
    n_fewest = min(is_right.sum(), (~is_right).sum())
    return {
        "n_empty": n_empty,
        **{name: {"share": mean_interval(shares[name]), "even_share": float(even[name])} for name in shares},
        "right_wrong": {name: compare_groups(values, is_right) for name, values in compared.items()}
        if n_fewest >= FEWEST
        else None,
    }


def spread_mass(maps: Maps) -> tuple[Values, int]:
    """Return maps, (N, H, W), scaled to a sum of 1, and how many were empty; those are made even."""
    values = maps.astype(np.float64)
    is_empty = values.sum((1, 2)) <= 0
    values[is_empty] = 1
    return values / values.sum((1, 2), keepdims=True), int(is_empty.sum())


def box_mask(side: int, margin: float) -> NDArray[np.bool_]:
    """Return which pixels, (side, side), lie at least `margin` from every edge, as a share of the side."""
    centres = (np.arange(side) + 0.5) / side
    inside = (centres > margin) & (centres < 1 - margin)
    return inside[:, None] & inside


def measure_entropy(masses: Values) -> Values:
    """Return the entropy of masses, (N, H, W), as a share of the largest that there can be: (N) from 0 to 1."""
    logs = np.log(masses, out=np.zeros_like(masses), where=masses > 0)
    return -(masses * logs).sum((1, 2)) / np.log(masses[0].size)  # type: ignore[no-any-return]


def compare_groups(values: Values, is_right: NDArray[np.bool_]) -> Figures:
    """Return the means of two groups of photos, and their difference, wrong less right."""
    right, wrong = values[is_right], values[~is_right]
    low, high = np.quantile(_resample(wrong, seed=1) - _resample(right, seed=2), [0.025, 0.975])
    difference = {"mean": float(wrong.mean() - right.mean()), "low": float(low), "high": float(high)}
    return {"right": mean_interval(right), "wrong": mean_interval(wrong), "difference": difference}


def measure_weights(net: ResNet, sample: Sample) -> list[float]:
    """Return, of each of the last 2n layers, the mean size of Grad-CAM's weights as a share of the gradient's own.

    A weight is the mean over a map of the class's gradient. Near 0, the gradient cancels within each map: the layer's
    map in Grad-CAM then rests on the little that is left, and is scaled to [0, 1] like any other.
    """
    sums = torch.zeros(len(net.last_layers()), 2, dtype=torch.float64)  # of the weights, and of the gradient
    for start in range(0, len(sample.inputs), _GRADIENT_BATCH):
        part = slice(start, start + _GRADIENT_BATCH)
        for i, gradient in enumerate(_find_gradients(net, sample.inputs[part], sample.class_ids[part])):
            sums[i] += torch.stack(
                [gradient.mean((2, 3)).abs().mean(1).sum(), gradient.abs().mean((1, 2, 3)).sum()]
            ).cpu()
    return [weight / size if size else 0.0 for weight, size in sums.tolist()]


def _find_gradients(net: ResNet, inputs: Tensor, class_ids: Sequence[int]) -> tuple[Tensor, ...]:
    """Return the gradient of each photo's class at the outputs of the last 2n layers, (N, 64, H / 4, W / 4) each."""
    outputs: list[Tensor] = []
    hooks = [layer.register_forward_hook(lambda *call: outputs.append(call[2])) for layer in net.last_layers()]
    try:
        with torch.enable_grad():
            logits = net(inputs.clone().requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    chosen = logits.gather(1, torch.tensor(class_ids, device=logits.device)[:, None])
    return torch.autograd.grad(chosen.sum(), outputs)


def make_controls(maps: Maps, seed: int) -> dict[str, Maps]:
    """Return rankings that know nothing of a photo, (N, H, W) each, for maps (N, H, W)."""
    n, side, _ = maps.shape
    coordinates = (np.arange(side) + 0.5) / side - 0.5
    gaussian = np.exp(-(coordinates[:, None] ** 2 + coordinates**2) / (2 * 0.25**2))  # (H, W)
    noise = torch.from_numpy(np.random.default_rng(seed).random((n, 1, side // 4, side // 4), dtype=np.float32))
    blobs = functional.interpolate(noise, size=(side, side), mode="bilinear")[:, 0].numpy()  # (N, H, W)
    values = (np.roll(maps, 1, axis=0), np.broadcast_to(gaussian.astype(np.float32), maps.shape), blobs)
    return dict(zip(CONTROLS, values, strict=True))


def measure_deletion(net: ResNet, sample: Sample, rankings: Mapping[str, Maps]) -> Figures:
    """Delete and insert the pixels of photos in the order of rankings, and follow the correct class's probability.

    Deletion puts the mean colour of training in the place of the pixels that rank highest first: the quicker the
    probability falls, the better the ranking. Insertion puts them back into a blurred photo: the quicker it rises, the
    better. Source: Petsiuk et al. 2018 (arXiv 1806.07421, section 4.1); there are fewer steps here, and more blur.

    Args:
        net: in eval mode.
        sample: N photos.
        rankings: (N, H, W) each, the first of which is compared with all others.

    Returns:
        for `deletion` and `insertion`: `area` under the curve by ranking; `gain`, by how much the area of the first
        is better, by control; `curves`, the mean probability by ranking, at each of `shares` of pixels.
    """
    sigma = sample.inputs.shape[2] * _BLUR
    blurred = torch.from_numpy(gaussian_filter(sample.inputs.cpu().numpy(), (0, 0, sigma, sigma))).to(sample.inputs)
    grey = torch.zeros_like(sample.inputs)  # inputs are normalised: 0 is the mean colour
    first, *controls = rankings
    figures: Figures = {}
    for name, start, end in (("deletion", sample.inputs, grey), ("insertion", blurred, sample.inputs)):
        curves = {key: follow_probability(net, start, end, sample.class_ids, maps) for key, maps in rankings.items()}
        areas = {key: area_under(curve) for key, curve in curves.items()}  # (N) each
        sign = -1 if name == "deletion" else 1
        figures[name] = {
            "area": {key: mean_interval(area) for key, area in areas.items()},
            "gain": {key: mean_interval(sign * (areas[first] - areas[key])) for key in controls},
            "shares": (np.arange(N_STEPS + 1) / N_STEPS).tolist(),
            "curves": {key: curve.mean(0).tolist() for key, curve in curves.items()},
        }
    return figures


def follow_probability(net: ResNet, start: Tensor, end: Tensor, class_ids: Sequence[int], ranking: Maps) -> Values:
    """Return the probability of each photo's class as its pixels go over from one picture to another.

    Shape:
        start, end: (N, 3, H, W). ranking: (N, H, W), the highest goes first. Result: (N, `N_STEPS` + 1).
    """
    n, _, height, width = start.shape
    order = (-ranking.reshape(n, -1)).argsort(1, kind="stable").argsort(1)  # (N, H * W), 0 goes first
    places = torch.from_numpy(order.reshape(n, 1, height, width)).to(start.device)
    curves = np.empty((n, N_STEPS + 1))
    for first in range(0, n, _EVAL_BATCH):
        part = slice(first, first + _EVAL_BATCH)
        ids = torch.tensor(class_ids[part], device=start.device)[:, None]  # (n, 1)
        for step in range(N_STEPS + 1):
            has_gone = places[part] < height * width * step / N_STEPS  # (n, 1, H, W)
            probabilities = compute_probabilities(net, torch.where(has_gone, end[part], start[part]))
            curves[part, step] = probabilities.gather(1, ids)[:, 0].cpu().numpy()
    return curves


def area_under(curves: Values) -> Values:
    """Return the area under curves, (N, n_steps + 1), over a width of 1, by the trapezoid rule: (N)."""
    area: Values = (curves[:, 1:] + curves[:, :-1]).mean(1) / 2
    return area


def measure_agreement(maps: Maps, others: Maps) -> Figures:
    """Return the mean rank correlation of two nets' maps of the same photos, and of different photos.

    Larger maps are first averaged to the size of the smaller.

    Shape:
        maps: (N, H, W). others: (N, H', W').
    """
    size = min(maps.shape[1:], others.shape[1:])
    one, two = (functional.adaptive_avg_pool2d(torch.from_numpy(values), size).numpy() for values in (maps, others))
    return {
        "same": mean_interval(rank_correlation(one, two)),
        "other": mean_interval(rank_correlation(one, np.roll(two, 1, axis=0))),
    }


def measure_randomisation(net: ResNet, fresh: ResNet, sample: Sample) -> Figures:
    """Give the layers random weights one after the other, from the output down, and compare the maps with the net's.

    A map that stays as it was cannot say what the net learned. Source: Adebayo et al. 2018 (arXiv 1810.03292,
    section 4, cascading randomisation).

    Args:
        net: a trained net; it is not changed.
        fresh: a net of the same form with random weights.
        sample: photos.

    Returns:
        `n_photos`; `layers` by name, in order; `correlation`: the mean rank correlation with the trained net's maps
        after each; `other_photo`: that of the trained net's maps of different photos.
    """
    trained = compute_maps(net, sample.inputs, sample.class_ids, at_map_size=True)
    changed = copy.deepcopy(net)
    layers = [name for name, module in net.named_modules() if isinstance(module, Layer)]
    names = ["output", *reversed(layers)]
    correlations = []
    for name in names:
        changed.get_submodule(name).load_state_dict(fresh.get_submodule(name).state_dict())
        maps = compute_maps(changed, sample.inputs, sample.class_ids, at_map_size=True)
        correlations.append(mean_interval(rank_correlation(trained, maps)))
    return {
        "n_photos": len(trained),
        "layers": names,
        "correlation": correlations,
        "other_photo": mean_interval(rank_correlation(trained, np.roll(trained, 1, axis=0))),
    }


def rank_correlation(maps: Maps, others: Maps) -> Values:
    """Return Spearman's correlation of each map with another, (N), for (N, H, W); 0 where one of them is even.

    Checked against: scipy.stats.spearmanr.
    """
    ranks = [rankdata(values.reshape(len(values), -1), axis=1) for values in (maps, others)]  # (N, H * W)
    one, two = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    scale = np.sqrt((one**2).sum(1) * (two**2).sum(1))  # (N)
    return np.divide((one * two).sum(1), scale, out=np.zeros(len(maps)), where=scale > 0)  # type: ignore[no-any-return]


def mean_interval(values: Values) -> dict[str, float]:
    """Return the mean of values, (N), and its interval."""
    low, high = np.quantile(_resample(values, seed=0), [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def _resample(values: Values, seed: int, n_resamples: int = 2_000) -> Values:
    """Return the means of samples drawn with replacement, (n_resamples)."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(n_resamples, len(values)))
    means: Values = values[drawn].mean(1)
    return means
