"""Grad-CAM maps: by hand, against captum, and what they leave behind."""

import gc
import sys
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch.nn import functional

from myna.birds import gradcam
from myna.birds.gradcam import compute_maps
from myna.birds.resnet import ResNet
from myna.errors import UserError

NORMS = ("bn", "in", "bin", "ln", "gn", "nn", "inbuilt")


def make_net(norm="bn", n=1, seed=0):
    """A net whose norms have learned something."""
    torch.manual_seed(seed)
    net = ResNet(n, 5, norm).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


@pytest.fixture
def photos():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def scale(maps):
    """To [0, 1], each map by itself, with the package's epsilon."""
    maps = maps - maps.min((1, 2), keepdims=True)
    return maps / (1e-7 + maps.max((1, 2), keepdims=True))


def aggregate(per_layer, size):
    """What the package does to the maps of layers, (L, N, h, w): scale, enlarge, average, scale."""
    enlarged = [[cv2.resize(values, (size, size)) for values in scale(maps)] for maps in per_layer]
    return scale(np.mean(enlarged, axis=0, dtype=np.float32))


@pytest.mark.parametrize("norm", NORMS)
def test_maps_are_those_of_captum(norm, photos):
    net, class_ids = make_net(norm, n=2), [4, 0, 2]
    per_layer = []
    for layer in net.last_layers():
        maps = LayerGradCam(net, layer).attribute(photos, torch.tensor(class_ids), relu_attributions=True)
        per_layer.append(maps[:, 0].detach().numpy())
        alone = compute_maps(net, photos, class_ids, at_map_size=True, layers=[layer])
        assert per_layer[-1].max() > 0
        np.testing.assert_allclose(alone, scale(scale(per_layer[-1])), atol=2e-5)
    assert len(per_layer) == 4
    small, large = (compute_maps(net, photos, class_ids, at_map_size=is_small) for is_small in (True, False))
    assert small.shape == (3, 4, 4)
    assert large.shape == (3, 16, 16)
    np.testing.assert_allclose(small, aggregate(per_layer, 4), atol=2e-5)
    np.testing.assert_allclose(large, aggregate(per_layer, 16), atol=2e-5)


def test_maps_are_those_of_a_computation_by_hand(photos):
    net, class_id = make_net("nn"), 3
    (first,) = net.groups[-1]
    middle = net.groups[1](net.groups[0](functional.relu(net.layer(photos)))).detach()  # (N, 32, 8, 8)
    inner = functional.relu(first.layer1(middle))  # (N, 64, 4, 4)
    outer = functional.relu(first.layer2(inner) + first.shortcut(middle))  # (N, 64, 4, 4)
    logits = outer.mean((2, 3)) @ net.output.weight.T + net.output.bias
    expected = []
    for maps in (inner, outer):
        (slopes,) = torch.autograd.grad(logits[:, class_id].sum(), maps, retain_graph=True)
        weights = slopes.sum((2, 3)) / 16  # (N, 64)
        expected.append(torch.einsum("nc,nchw->nhw", weights, maps).clamp(min=0).detach().numpy())
    # Of the last maps the derivative is known: the output's weight, shared out over the pixels.
    weights = net.output.weight[class_id] / 16
    by_weight = torch.einsum("c,nchw->nhw", weights, outer).clamp(min=0).detach().numpy()
    np.testing.assert_allclose(expected[1], by_weight, atol=1e-6)
    found = compute_maps(net, photos, [class_id] * 3, at_map_size=True)
    np.testing.assert_allclose(found, aggregate(expected, 4), atol=2e-5)


def test_a_map_depends_on_its_own_photo_and_class_alone(photos):
    net = make_net("gn")
    together = compute_maps(net, photos, [0, 1, 2])
    alone = np.concatenate([compute_maps(net, photos[i : i + 1], [i]) for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert abs(compute_maps(net, photos, [3, 1, 2])[0] - together[0]).max() > 0.1


def test_maps_run_from_0_to_1_and_more_photos_than_fit_at_a_time_come_in_order(photos):
    net = make_net()
    many = photos.repeat(12, 1, 1, 1)
    maps = compute_maps(net, many, [0, 1, 2] * 12)
    assert maps.shape == (36, 16, 16)
    assert maps.min() == 0
    assert maps.max() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(maps, np.tile(compute_maps(net, photos, [0, 1, 2]), (12, 1, 1)), atol=1e-4)
    assert compute_maps(net, photos[:0], []).shape == (0, 16, 16)


def test_a_map_is_0_where_nothing_speaks_for_the_class(photos):
    net = make_net("nn")
    with torch.no_grad():
        net.output.weight.zero_()
    assert not compute_maps(net, photos, [0, 0, 0]).any()


def remember(net, photos):
    """All that a computation might leave behind."""
    hooks = [(len(m._forward_hooks), len(m._backward_hooks), len(m._forward_pre_hooks)) for m in net.modules()]
    modes = [module.training for module in net.modules()]
    asks = [parameter.requires_grad for parameter in net.parameters()]
    gradients = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    return hooks, modes, asks, gradients, state, photos.requires_grad, photos.grad


def assert_same(before, after):
    assert before[:3] == after[:3]
    for old, new in zip(before[3], after[3], strict=True):
        assert (old is None) == (new is None)
        assert old is None or torch.equal(old, new)
    assert all(torch.equal(tensor, after[4][name]) for name, tensor in before[4].items())
    assert before[5:] == after[5:]


@pytest.mark.parametrize("fails", [False, True])
def test_the_net_is_left_as_it_was(photos, fails, monkeypatch):
    net = make_net("bn")
    net.train()
    net.groups[1].eval()  # a mode of its own
    net.output.bias.requires_grad_(False)
    net(photos).sum().backward()
    before = remember(net, photos)
    if fails:
        _, target = gradcam._load_package()
        monkeypatch.setattr(target, "__call__", lambda self, output: output[99])
        with pytest.raises(IndexError):
            compute_maps(net, photos, [0, 1, 2])
    else:
        compute_maps(net, photos, [0, 1, 2])
    assert_same(before, remember(net, photos))
    assert net.training


def test_maps_can_be_computed_where_gradients_are_off(photos):
    net = make_net()
    with torch.no_grad():
        off = compute_maps(net, photos, [0, 1, 2])
        assert not torch.is_grad_enabled()
    np.testing.assert_array_equal(off, compute_maps(net, photos, [0, 1, 2]))
    net.requires_grad_(False)
    np.testing.assert_array_equal(off, compute_maps(net, photos, [0, 1, 2]))


@pytest.mark.slow
def test_a_thousand_photos_leave_no_tensor_and_no_hook_behind():
    net = make_net()
    photos = torch.randn(10, 3, 8, 8)

    def count_tensors():
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    def count():
        gc.collect()
        return count_tensors(), sum(len(module._forward_hooks) for module in net.modules())

    compute_maps(net, photos, [0] * 10)
    before = count()
    gc.disable()  # what only a collection of cycles frees would pile up on a busy machine
    try:
        for _ in range(100):
            compute_maps(net, photos, [0] * 10)
        assert count_tensors() <= before[0]
    finally:
        gc.enable()
    assert count() == before


@pytest.mark.parametrize(
    ("class_ids", "words"), [([0, 1], "3 class ids"), ([0, 1, 5], "0 to 4"), ([0, 1, -1], "0 to 4")]
)
def test_unfit_class_ids_are_refused(photos, class_ids, words):
    with pytest.raises(ValueError, match=words):
        compute_maps(make_net(), photos, class_ids)


without_torchvision = pytest.mark.skipif(
    find_spec("torchvision") is not None, reason="torchvision is installed: nothing need stand in"
)


@without_torchvision
def test_stand_ins_for_torchvision_are_there_during_the_import_alone():
    before = dict(sys.modules)

    def import_and_fail():
        with gradcam._torchvision_or_stand_ins():
            from torchvision.transforms.functional import resize

            assert resize is None
            raise RuntimeError

    with pytest.raises(RuntimeError):
        import_and_fail()
    assert dict(sys.modules) == before
    with pytest.raises(ImportError):
        import torchvision  # noqa: F401


@without_torchvision
def test_a_torchvision_for_another_torch_is_put_aside_and_leaves_nothing_behind(tmp_path, monkeypatch):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "extension.py").write_text("")
    (package / "__init__.py").write_text(
        "import torchvision.extension\nraise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with gradcam._torchvision_or_stand_ins():
        assert not hasattr(sys.modules["torchvision"], "__file__")
        assert "torchvision.extension" not in sys.modules
    assert not [name for name in sys.modules if name.startswith("torchvision")]


@without_torchvision
def test_a_torchvision_that_works_is_used(tmp_path, monkeypatch):
    package = tmp_path / "torchvision" / "transforms"
    package.mkdir(parents=True)
    for path in (package.parent / "__init__.py", package / "__init__.py", package / "functional.py"):
        path.write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        with gradcam._torchvision_or_stand_ins():
            assert sys.modules["torchvision"].__file__ == str(package.parent / "__init__.py")
        assert "torchvision" in sys.modules
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]


def test_a_missing_package_is_said_in_one_line(photos, monkeypatch):
    gradcam._load_package.cache_clear()
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    with pytest.raises(UserError, match="pip install --no-deps grad-cam ttach") as error:
        compute_maps(make_net(), photos, [0, 0, 0])
    assert "\n" not in str(error.value)
    gradcam._load_package.cache_clear()
