"""What is fitted on dev once a model is trained, as it lies beside the model's weights. No torch in here."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from myna.errors import UserError
from myna.files import read_json, write_json


class Fitted(BaseModel):
    """Figures that are kept as JSON in a model folder, under the name `file`."""

    model_config = ConfigDict(extra="forbid")

    file: ClassVar[str]

    def save(self, folder: Path) -> None:
        """Write it beside the model."""
        write_json(folder / self.file, self.model_dump())

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read that of a model; None if it has none.

        Raises:
            UserError: the file is broken.
        """
        path = folder / cls.file
        if not path.exists():
            return None
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise UserError(f"{path}: {place}: {first['msg']}") from None
