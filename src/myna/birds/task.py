"""The birds study as a task of the engine, and the one place where a config becomes a net."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from myna.birds.cache import PhotoCache, prepare
from myna.birds.evaluation import summarise
from myna.birds.resnet import ResNet
from myna.birds.splits import BirdSplits, PhotoFile
from myna.birds.views import EvalView, Pixels, TrainView
from myna.config import BirdsConfig, BirdsDataSection, BirdsModelSection, load, save
from myna.engine.checkpoint import WEIGHTS, load_weights
from myna.engine.devices import find_device
from myna.engine.distributed import share_out
from myna.errors import UserError
from myna.files import read_json, write_json
from myna.runs import CONFIG, find_model

CLASSES = "classes.json"
_EVAL_BATCH = 128
_STATISTICS_PHOTOS = 2_000
LabelledCache = tuple[PhotoCache, list[int]]
"""Photos that can be read, and the class id of each."""


@dataclass(frozen=True)
class Labels:
    """What a net's inputs and outputs mean.

    Attributes:
        classes: name of each output.
        mean, deviation: of red, green and blue in the training photos, from 0 to 1.
    """

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def normalise(self, views: Sequence[Pixels], device: torch.device | str = "cpu") -> Tensor:
        """Return views, (size, size, 3) each, as the net's input, (N, 3, size, size)."""
        pixels = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).contiguous()  # (N, 3, size, size)
        if torch.device(device).type == "cuda":
            pixels = pixels.pin_memory()
        pixels = pixels.to(device, non_blocking=True).float()
        mean, deviation = (torch.tensor(values, device=device).view(3, 1, 1) for values in (self.mean, self.deviation))
        return (pixels / 255 - mean) / deviation

    def save(self, folder: Path) -> None:
        """Write the labels beside a model's weights."""
        write_json(folder / CLASSES, {"classes": self.classes, "mean": self.mean, "deviation": self.deviation})

    @classmethod
    def load(cls, folder: Path) -> Labels:
        """Read the labels of a model folder.

        Raises:
            UserError: the file is missing or does not say what it should.
        """
        path = folder / CLASSES
        values = read_json(path)
        try:
            classes = tuple(str(name) for name in values["classes"])
            mean, deviation = (tuple(float(value) for value in values[key]) for key in ("mean", "deviation"))
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}: expected classes, and mean and deviation of three colours") from None
        if len(mean) != 3 or len(deviation) != 3 or min(deviation) <= 0:
            raise UserError(f"{path}: mean, deviation: expected three numbers each, deviations above 0")
        return cls(classes, mean, deviation)


def build_resnet(section: BirdsModelSection, n_classes: int) -> ResNet:
    """Make a net of random weights."""
    options: dict[str, Any] = {"groups": section.groups} if section.norm == "gn" else {}
    if section.sync_norm and section.norm == "inbuilt":
        raise UserError(
            "model.sync_norm: torch's own norm is of each process; bn is the same, and can be of all of them"
        )
    if section.sync_norm and section.norm in ("bn", "bin"):
        options["sync"] = True
    try:
        return ResNet(section.n, n_classes, section.norm, options, section.shortcut)
    except ValueError as error:
        raise UserError(f"model: {error}") from None


def open_cache(photos: Iterable[PhotoFile], section: BirdsDataSection) -> PhotoCache:
    """Decode photos that are not decoded yet, at the size that a config asks for."""
    return prepare([photo.path for photo in photos], stored_side(section), section.on_bad)


def open_labelled(photos: Sequence[PhotoFile], section: BirdsDataSection) -> LabelledCache:
    """Open the cache for photos, and return the class ids of those that can be read."""
    cache = open_cache(photos, section)
    class_ids = {photo.path: photo.class_id for photo in photos}
    return cache, [class_ids[path] for path in cache.paths]


def open_learned(splits: BirdSplits, section: BirdsDataSection) -> tuple[LabelledCache, LabelledCache]:
    """Open the photos that are learned from, and those that choose the best epoch."""
    training = first_of_each_class(splits.train, section.limit)
    return open_labelled(training, section), open_labelled(splits.val, section)


def hash_photos(classes: tuple[str, ...], opened: Sequence[LabelledCache]) -> str:
    """Return a hash of photos with their classes."""
    hashes = [[entry.sha256 for entry in cache.entries] for cache, _ in opened]
    label_ids = tuple(label_ids for _, label_ids in opened)
    return hashlib.sha256(repr((classes, hashes, label_ids)).encode()).hexdigest()


def stored_side(section: BirdsDataSection) -> int:
    """Return the shorter side at which photos are stored, in pixels."""
    return section.stored_size or round(1.25 * section.size)


@dataclass(frozen=True)
class BirdModel:
    """A trained net with all that is needed to use it."""

    config: BirdsConfig
    labels: Labels
    net: ResNet

    @property
    def device(self) -> torch.device:
        """Where the net computes, and its inputs have to be."""
        return next(self.net.parameters()).device

    def normalise(self, views: Sequence[Pixels]) -> Tensor:
        """Return views, (size, size, 3) each, as the net's input, (N, 3, size, size)."""
        return self.labels.normalise(views, self.device)

    @classmethod
    def load(cls, folder: Path) -> BirdModel:
        """Read a model folder, or the best model of a run folder.

        Raises:
            UserError: something is missing from the folder, or its parts do not fit each other.
        """
        folder = find_model(folder)
        config = load(BirdsConfig, folder / CONFIG)
        labels = Labels.load(folder)
        net = build_resnet(config.model, len(labels.classes))
        load_weights(net, folder / WEIGHTS)
        return cls(config, labels, net.eval().to(find_device()))

    def logits(
        self,
        photos: Sequence[Pixels] | PhotoCache,
        tick: Callable[[int], object] = lambda n: None,
    ) -> Tensor:
        """Return the logits of decoded photos, (N, n_classes), as float32 on the CPU; `tick` is told of photos done."""
        return compute_logits(self.net, self.labels, EvalView(self.config.data.size), photos, self.device, tick)


@torch.no_grad()
def compute_logits(
    net: nn.Module,
    labels: Labels,
    view: EvalView,
    photos: Sequence[Pixels] | PhotoCache,
    device: torch.device,
    tick: Callable[[int], object] = lambda n: None,
) -> Tensor:
    """Return the logits of photos, (N, n_classes), from a net on a device in eval mode; `tick` hears of those done."""
    parts = []
    for start in range(0, len(photos), _EVAL_BATCH):
        views = [view(photos[index]) for index in range(start, min(start + _EVAL_BATCH, len(photos)))]
        parts.append(net(labels.normalise(views, device)))
        tick(len(views))
    return torch.cat(parts).float().cpu() if parts else torch.empty(0, len(labels.classes))


class BirdTask:
    """Photos to species, for the engine's loop.

    An example's number says which photo it is and in which epoch: `epoch * n_photos + photo`. Its view is drawn from
    the seed and this number alone, so that neither a resumed run nor the number of processes or threads changes it,
    and two nets see the same views in the same order.

    Args:
        config: of the run.
        splits: photos to learn from, and those that choose the best epoch.

    Raises:
        UserError: there are no photos that can be read, or the config does not go together.
    """

    score_name = "accuracy"

    def __init__(self, config: BirdsConfig, splits: BirdSplits) -> None:
        self.config = config
        if config.model.n_classes not in (0, len(splits.classes)):
            raise UserError(
                f"model.n_classes: {config.model.n_classes}, but the photos are of {len(splits.classes)} classes"
            )
        (self.photos, self._label_ids), (self._val_photos, self._val_label_ids) = open_learned(splits, config.data)
        self._probe = _spread(len(self.photos), len(self._val_photos))
        self.labels = Labels(splits.classes, *measure_colours(self.photos))
        torch.manual_seed(config.training.seed)
        self.net = build_resnet(config.model, len(splits.classes))
        self.model: nn.Module = self.net
        data = config.data
        self._train_view = TrainView(data.size, data.min_area, data.max_stretch, data.flip, data.jitter)
        self._eval_view = EvalView(data.size)
        self._pool = ThreadPoolExecutor(data.workers) if data.workers else None

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the examples of each step of an epoch; a last batch of one is left out, as batch norm needs two."""
        section, n = self.config.training, len(self.photos)
        order = np.random.default_rng([section.seed, epoch]).permutation(n) + epoch * n
        groups = [order[start : start + section.batch_size].tolist() for start in range(0, n, section.batch_size)]
        return [group for group in groups if len(group) > 1 or section.batch_size == 1]

    def loss(
        self, model: nn.Module, examples: Sequence[int], device: torch.device, progress: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return the summed cross-entropy of some training examples, and their number."""
        views = list(self._pool.map(self._view, examples) if self._pool else map(self._view, examples))
        label_ids = torch.tensor([self._label_ids[example % len(self.photos)] for example in examples], device=device)
        logits = model(self.labels.normalise(views, device))  # (N, n_classes)
        loss = functional.cross_entropy(
            logits.float(), label_ids, reduction="sum", label_smoothing=self.config.label_smoothing
        )
        return loss, torch.tensor(float(len(examples)), device=device)

    def evaluate(self, device: torch.device) -> dict[str, float]:
        """Return loss, accuracy and F1 on val, and on as many photos of training, without augmentation.

        Each process classifies a part of the photos.
        """
        val = summarise(self._logits(self._val_photos, device), self._val_label_ids)
        probed = [self.photos[index] for index in self._probe]
        train = summarise(self._logits(probed, device), [self._label_ids[index] for index in self._probe])
        return {**val, **{f"train_{name}": value for name, value in train.items()}}

    def fingerprint(self) -> str:
        """Return a hash of the photos that are learned from and chosen by, with their classes."""
        opened = (self.photos, self._label_ids), (self._val_photos, self._val_label_ids)
        return hash_photos(self.labels.classes, opened)

    def save(self, folder: Path) -> None:
        """Write config and labels beside the weights."""
        save(self.config, folder / CONFIG)
        self.labels.save(folder)

    def _view(self, example: int) -> Pixels:
        """Return the view that an example stands for."""
        rng = np.random.default_rng([self.config.training.seed, example])
        return self._train_view(self.photos[example % len(self.photos)], rng)

    def _logits(self, photos: Sequence[Pixels] | PhotoCache, device: torch.device) -> Tensor:
        def compute(part: Sequence[int]) -> list[list[float]]:
            # Rows of one tensor would each be sent with all of it.
            chosen = [photos[index] for index in part]
            return compute_logits(self.net, self.labels, self._eval_view, chosen, device).tolist()

        return torch.tensor(share_out(range(len(photos)), compute))  # (N, n_classes)


def measure_colours(photos: PhotoCache) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of red, green and blue, from 0 to 1, over photos spread over the cache."""
    sums, squares, n_pixels = np.zeros(3), np.zeros(3), 0
    for index in _spread(len(photos), _STATISTICS_PHOTOS):
        pixels = photos[index].reshape(-1, 3) / np.float32(255)
        sums += pixels.sum(0, dtype=np.float64)
        squares += np.square(pixels).sum(0, dtype=np.float64)
        n_pixels += len(pixels)
    mean = sums / n_pixels
    deviation = np.sqrt(np.maximum(squares / n_pixels - mean**2, 1e-8))
    return tuple(mean.round(4).tolist()), tuple(deviation.round(4).tolist())


def first_of_each_class(photos: Sequence[PhotoFile], limit: int) -> list[PhotoFile]:
    """Return the first photos of each class; all of them where the limit is 0."""
    if not limit:
        return list(photos)
    counts: dict[int, int] = {}
    kept = []
    for photo in photos:
        counts[photo.class_id] = counts.get(photo.class_id, 0) + 1
        if counts[photo.class_id] <= limit:
            kept.append(photo)
    return kept


def _spread(n: int, n_chosen: int) -> list[int]:
    """Return so many positions spread evenly over n; all of them where there are no more."""
    return np.unique(np.linspace(0, n - 1, min(n, n_chosen)).round().astype(int)).tolist()  # type: ignore[no-any-return]
