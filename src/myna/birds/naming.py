"""What is told of a photo: the schema that the command line and the web page share, and who tells it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field

from myna.birds.class_names import readable
from myna.birds.familiarity import Answer, Familiarity
from myna.birds.photos import resize_shorter
from myna.birds.task import BirdModel, stored_side
from myna.birds.views import EvalView
from myna.errors import UserError
from myna.runs import find_model, find_shipped

if TYPE_CHECKING:
    from myna.birds.views import Pixels

BEST = "bin-128"
"""The best of the shipped nets, by its card."""
_TOP = 5
_SURE, _LIKELY = 0.9, 0.6


class Species(BaseModel):
    """A species and how likely it is."""

    name: str
    probability: float


class Naming(BaseModel):
    """The species in a photo, as the net sees it; or that it is none of those it knows."""

    photo: str = Field(description="the photo's name, as it was given")
    model: str = Field(description="name of the net that was asked")
    is_known: bool = Field(description="false where the photo seems to show none of the species that the net knows")
    verdict: str = Field(description="in a sentence")
    top: list[Species] = Field(description="the five likeliest, best first")
    score: float | None = Field(description="by which is_known is decided; higher is more like what it learned from")
    threshold: float | None = Field(description="at and above which a photo counts as known; null: all photos do")


class Namer:
    """Names birds with a trained net. Not thread-safe.

    Args:
        model: a trained net.
        model_name: what it is called.
        familiarity: what its logits are read by; without it all photos count as known, and probabilities are as the
            net gives them.
    """

    def __init__(self, model: BirdModel, model_name: str, familiarity: Familiarity | None) -> None:
        self.model_name = model_name
        self._model = model
        self._familiarity = familiarity

    @classmethod
    def load(cls, model: Path | None = None) -> Namer:
        """Read a net.

        Args:
            model: the folder of a run or a model; None takes the best of the shipped ones.

        Raises:
            UserError: there is no such net.
        """
        folder = find_model(model or find_shipped("birds", BEST))
        return cls(BirdModel.load(folder), (model or folder).resolve().name, Familiarity.load(folder))

    @property
    def classes(self) -> list[str]:
        """The species that the net knows."""
        return [readable(name) for name in self._model.labels.classes]

    def name(self, photo: Image.Image, title: str) -> Naming:
        """Name the species in a photo, as `read_photo` gives it; `title` is what the photo is called."""
        answer, familiarity = self._ask(self._view(photo)), self._familiarity
        probabilities = familiarity.probabilities(answer) if familiarity else answer.logits.softmax(1)
        likeliest = probabilities[0].topk(min(_TOP, len(self.classes)))
        top = [
            Species(name=self.classes[class_id], probability=round(probability, 4))
            for probability, class_id in zip(likeliest.values.tolist(), likeliest.indices.tolist(), strict=True)
        ]
        score = float(familiarity.scores(answer)) if familiarity else None
        is_known = familiarity is None or score is None or score >= familiarity.threshold
        return Naming(
            photo=title,
            model=self.model_name,
            is_known=is_known,
            verdict=_say(top, is_known, len(self.classes)),
            top=top,
            score=None if score is None else round(score, 4),
            threshold=None if familiarity is None else round(familiarity.threshold, 4),
        )

    def overlay(self, photo: Image.Image, species: str | None = None) -> Image.Image:
        """Return a photo as the net sees it, with the Grad-CAM map of a species over it; None is the likeliest.

        Raises:
            UserError: the net knows no such species, or grad-cam is not installed.
        """
        # Bring matplotlib along, which naming needs for nothing.
        from myna.birds.contact_sheet import draw_overlay
        from myna.birds.gradcam import compute_maps

        if species is not None and species not in self.classes:
            raise UserError(f"species: {species!r}; expected one of {', '.join(self.classes)}")
        view, size = self._view(photo), self._model.config.data.size
        class_id = int(self._ask(view).logits.argmax()) if species is None else self.classes.index(species)
        [values] = compute_maps(self._model.net, self._model.normalise([view]), [class_id])
        # The photo itself shows more than the net saw of it.
        square = EvalView(max(size, min(480, *photo.size)))(np.asarray(photo))
        return draw_overlay(Image.fromarray(square), values)

    def _view(self, photo: Image.Image) -> Pixels:
        """Return what the net sees of a photo, (size, size, 3), from the pixels that a cache would hold."""
        data = self._model.config.data
        return EvalView(data.size)(np.asarray(resize_shorter(photo, stored_side(data))))

    def _ask(self, view: Pixels) -> Answer:
        """Return what the net makes of a view."""
        return Answer.of(self._model.net, self._model.normalise([view]))


def _say(top: list[Species], is_known: bool, n_classes: int) -> str:
    """Say what a net makes of a photo."""
    first, share = top[0], f"{100 * top[0].probability:.0f} %"
    if not is_known:
        return f"None of the {n_classes} species that this net knows, as it seems; the nearest is {first.name}."
    if first.probability >= _SURE:
        return f"{first.name}, almost surely ({share})."
    if first.probability >= _LIKELY:
        return f"{first.name}, probably ({share})."
    others = " or ".join(each.name for each in top[1:3])
    return f"Perhaps {first.name} ({share}); it could also be {others}." if others else f"{first.name} ({share})."
