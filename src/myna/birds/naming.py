"""What is told of a photo: the schema that the command line and the web page share, and who tells it."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Species(BaseModel):
    """A species and how likely it is."""

    name: str
    probability: float


class Naming(BaseModel):
    """The species in a photo, as the net sees it; or that it is none of those it knows."""

    photo: str = Field(description="the photo's name, as it was given")
    model: str = Field(description="name of the net that was asked")
    is_known: bool = Field(description="false where the photo shows none of the species that the net knows, as it seems")
    verdict: str = Field(description="in a sentence")
    top: list[Species] = Field(description="the five likeliest, best first")
    score: float = Field(description="by which is_known is decided; higher is more like the photos it learned from")
    threshold: float = Field(description="at and above which a photo counts as known")
