"""A net as an ONNX graph."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from myna.birds.export import GRAPH, README, export, with_torch_norms
from myna.birds.norms import NORMS, Norm
from myna.birds.prediction import predict
from myna.birds.task import BirdModel, Labels, build_resnet
from myna.config import BirdsConfig
from myna.engine import onnx as engine_onnx
from myna.engine.onnx import ABOUT, TOLERANCE
from myna.errors import UserError

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def make_model(config: BirdsConfig) -> BirdModel:
    """Return a net of random weights, and of norms that are not as they begin."""
    torch.manual_seed(0)
    net = build_resnet(config.model, 3)
    for name, values in (*net.named_parameters(), *net.named_buffers()):
        if name.endswith(("norm.weight", "norm.gate", "running_var")):
            values.data.uniform_(0.3, 0.9)
        elif name.endswith(("norm.bias", "running_mean")):
            values.data.normal_(0, 0.3)
    return BirdModel(config, Labels(("crow", "egret", "roller"), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2)), net.eval())


@pytest.mark.parametrize("norm", sorted(NORMS))
def test_a_graph_gives_the_logits_of_its_net_in_batches_of_any_size(
    norm: str, make_bird_config: Callable[..., BirdsConfig], tmp_path: Path
) -> None:
    model = make_model(make_bird_config({"norm": norm, "shortcut": "projection"}))
    assert export(model, tmp_path / "out") <= TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / "out" / GRAPH)
    for n in (1, 4):
        photos = torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(n))
        (logits,) = session.run(None, {"photos": photos.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(logits), model.net(photos), rtol=1e-4, atol=1e-5)


def test_the_exported_net_holds_norms_of_torch_alone_and_the_model_keeps_its_own(
    make_bird_config: Callable[..., BirdsConfig],
) -> None:
    model = make_model(make_bird_config({"norm": "bin"}))
    assert not any(isinstance(module, Norm) for module in with_torch_norms(model.net).modules())
    assert any(isinstance(module, Norm) for module in model.net.modules())


def test_the_readme_names_a_photo_as_myna_does(
    make_bird_config: Callable[..., BirdsConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(make_bird_config({"norm": "in"}))
    folder = tmp_path / "out"
    export(model, folder)
    pixels = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "photo.jpg")
    monkeypatch.chdir(folder)
    code = re.search(r"```python\n(.*?)```", (folder / README).read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    names: dict[str, object] = {"print": lambda name: None}
    exec(code[1], names)
    expected = predict(model, [folder / "photo.jpg"])[0]
    assert names["name"] == model.labels.classes[int(expected.argmax())]
    np.testing.assert_allclose(names["logits"], expected.numpy(), rtol=1e-3, atol=1e-4)


def test_the_file_itself_says_how_photos_are_prepared(
    make_bird_config: Callable[..., BirdsConfig], tmp_path: Path
) -> None:
    export(make_model(make_bird_config({"norm": "bn"})), tmp_path)
    about = json.loads((tmp_path / ABOUT).read_text(encoding="utf-8"))
    metadata = onnxruntime.InferenceSession(tmp_path / GRAPH).get_modelmeta().custom_metadata_map
    assert about["classes"] == json.loads(metadata["classes"]) == ["crow", "egret", "roller"]
    assert about["size"] == json.loads(metadata["size"]) == 16
    assert about["mean"] == json.loads(metadata["mean"]) == [0.5, 0.4, 0.3]


def test_a_graph_that_differs_is_refused_and_nothing_is_left(
    make_bird_config: Callable[..., BirdsConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(make_bird_config({"norm": "bn"}))
    monkeypatch.setattr(engine_onnx, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match="not written: onnxruntime and torch differ by"):
        export(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
