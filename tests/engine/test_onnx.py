"""Folders of ONNX graphs, and how far a graph is from what it was made of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from myna.engine.onnx import ABOUT, export_folder, largest_difference, open_graph, write_about, write_graph
from myna.errors import UserError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def write(folder: Path) -> float:
    write_about(folder, study="test")
    return 0.0


def test_an_earlier_export_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    export_folder(tmp_path / "empty", write)
    (tmp_path / "empty" / "old").touch()
    export_folder(tmp_path / "empty", write)
    assert [path.name for path in (tmp_path / "empty").iterdir()] == [ABOUT]
    kept = tmp_path / "thesis" / "thesis.tex"
    kept.parent.mkdir()
    kept.touch()
    for folder in (kept.parent, kept):
        with pytest.raises(UserError, match="holds something else than an export"):
            export_folder(folder, write)
    assert kept.exists()


def test_a_difference_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="differ by nan"):
        export_folder(tmp_path / "new", lambda folder: float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_without_the_packages_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"needs onnxruntime; in Myna's checkout: pip install '.\[export\]'"):
        export_folder(tmp_path / "new", write)


def test_the_largest_difference_is_found_and_none_is_hidden() -> None:
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5])
    assert largest_difference([a, a], [a, b]) == 0.5
    assert largest_difference([torch.tensor([True])], [torch.tensor([False])]) == 1
    assert largest_difference([a], [a[:1]]) == float("inf")
    hidden = largest_difference([torch.tensor([float("nan")]), a], [torch.tensor([0.0]), a])
    assert hidden != hidden


def test_logaddexp_has_a_rule_that_does_not_overflow(tmp_path: Path) -> None:
    class Sum(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.logaddexp(a, b)

    a, b = torch.tensor([0.0, 300.0, -300.0, 5.0]), torch.tensor([0.0, -300.0, 300.0, 5.5])
    write_graph(tmp_path / "sum.onnx", Sum(), {"a": a, "b": b}, ["sum"], {"a": (), "b": (), "sum": ()}, {"k": "v"})
    (found,) = open_graph(tmp_path / "sum.onnx")({"a": a, "b": b})
    torch.testing.assert_close(found, torch.logaddexp(a, b))
