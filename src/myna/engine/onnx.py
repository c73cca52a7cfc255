"""Models as ONNX graphs: writing one, opening it in onnxruntime, and holding it to torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import myna
from myna.engine.checkpoint import check_replaceable, replace_folder
from myna.errors import UserError
from myna.files import write_json

ABOUT = "model.json"
"""In the folder of an export: what a program needs to know to use its graphs."""
TOLERANCE = 1e-3
_OPSET = 17


def export_folder(folder: Path, write: Callable[[Path], float]) -> float:
    """Write an export as a whole, or leave everything as it was.

    Args:
        folder: to write; an earlier export is replaced.
        write: writes into a folder, and returns the largest difference between its graphs and torch.

    Returns:
        that difference.

    Raises:
        UserError: onnx or onnxruntime is not installed; or the folder holds something else, or cannot be written; or
            the difference is more than `TOLERANCE`.
    """
    for package in ("onnx", "onnxruntime"):
        try:
            __import__(package)
        except ImportError:
            raise UserError(f"export: needs {package}; in Myna's checkout: pip install '.[export]'") from None
    check_replaceable(folder, ABOUT, "an export")
    differences = []

    def write_and_check(new: Path) -> None:
        differences.append(write(new))
        if not differences[0] <= TOLERANCE:  # nor where it is no number
            raise UserError(
                f"{folder}: not written: onnxruntime and torch differ by {differences[0]:.1e}, expected {TOLERANCE:.0e}"
            )

    replace_folder(folder, write_and_check)
    return differences[0]


def write_about(folder: Path, **about: Any) -> None:
    """Write what a program needs to know to use the graphs of a folder."""
    write_json(folder / ABOUT, {"made_by": f"myna {myna.__version__}", **about}, indent=None)


def write_graph(
    path: Path,
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    axes: Mapping[str, Sequence[str]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a module as an ONNX graph.

    Args:
        path: of the file.
        module: takes the inputs by position and returns a tuple, or one tensor.
        inputs: by name; their values are an example.
        outputs: names of what it returns.
        axes: of inputs and outputs, the names of their first axes, which may have any length.
        metadata: kept in the file.
    """
    import onnx

    with warnings.catch_warnings(action="ignore"):
        torch.onnx.register_custom_op_symbolic(  # type: ignore[attr-defined]
            "aten::logaddexp", _logaddexp, _OPSET
        )
        # torch's newer exporter takes a minute for an LSTM where this one takes a second, and fixes the length of what
        # it gives.
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            path,
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(enumerate(axes[name])) for name in (*inputs, *outputs)},
        )
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {"made_by": f"myna {myna.__version__}", **(metadata or {})})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def open_graph(path: Path) -> Callable[[Mapping[str, Tensor]], list[Tensor]]:
    """Return a function that runs a graph in onnxruntime, from inputs by name to all outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, Tensor]) -> list[Tensor]:
        return [torch.from_numpy(value) for value in session.run(None, {k: v.numpy() for k, v in inputs.items()})]

    return run


def largest_difference(expected: Iterable[Tensor], found: Iterable[Tensor]) -> float:
    """Return the largest difference between two lists of tensors; infinity where their shapes differ."""
    differences = [
        float((a.double() - b.double()).abs().max()) if a.shape == b.shape else float("inf")
        for a, b in zip(expected, found, strict=True)
    ]
    return float(torch.tensor(differences).max())  # not a number, if one of them is


def _logaddexp(g: Any, a: Any, b: Any) -> Any:
    """Write torch.logaddexp, for which the exporter has no rule: max(a, b) + log(1 + exp(-|a - b|))."""
    distance = g.op("Abs", g.op("Sub", a, b))
    return g.op("Add", g.op("Max", a, b), g.op("Softplus", g.op("Neg", distance)))
