"""Every norm from scratch against torch's own, and where torch has none against an identity or the plain formula."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from myna.birds.norms import BatchInstanceNorm, BatchNorm, GroupNorm, InstanceNorm, LayerNorm, Norm
from myna.birds.resnet import ResNet

PAIRS: dict[str, tuple[Callable[[int], Norm], Callable[[int], nn.Module]]] = {
    "bn": (BatchNorm, nn.BatchNorm2d),
    "in": (InstanceNorm, lambda channels: nn.InstanceNorm2d(channels, affine=True)),
    "ln": (LayerNorm, lambda channels: nn.GroupNorm(1, channels)),
    "gn": (GroupNorm, lambda channels: nn.GroupNorm(8, channels)),
    "gn4": (lambda channels: GroupNorm(channels, groups=4, eps=1e-3), lambda channels: nn.GroupNorm(4, channels, 1e-3)),
}
SHAPES = [(4, 16, 6, 10), (1, 16, 7, 5), (3, 32, 1, 2), (2, 64, 16, 16)]


def random_affine(*norms: nn.Module) -> None:
    """Gives all the same random weight and bias."""
    weight, bias = torch.rand_like(norms[0].weight) + 0.5, torch.randn_like(norms[0].bias)
    for norm in norms:
        with torch.no_grad():
            norm.weight.copy_(weight)
            norm.bias.copy_(bias)


def run(norm: nn.Module, x: Tensor, grad_y: Tensor) -> list[Tensor]:
    """Output, gradient of the input, gradients of weight and bias."""
    x = x.detach().requires_grad_()
    y = norm(x)
    return [y.detach(), *torch.autograd.grad(y, (x, norm.weight, norm.bias), grad_y)]


def assert_equal(ours: list[Tensor], theirs: list[Tensor], tolerance: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients_are_those_of_torch(name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours, theirs = (build(shape[1]).double() for build in PAIRS[name])
    random_affine(ours, theirs)
    x, grad_y = torch.randn(shape, dtype=torch.double) * 3 + 1, torch.randn(shape, dtype=torch.double)
    assert_equal(run(ours, x, grad_y), run(theirs, x, grad_y), 1e-11)


@given(
    n_photos=st.integers(1, 4),
    groups=st.integers(1, 3),
    in_group=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(2, 6),
    shift=st.floats(-50, 50),
)
def test_group_norm_is_that_of_torch_for_any_shape(
    n_photos: int, groups: int, in_group: int, height: int, width: int, shift: float
) -> None:
    shape = (n_photos, groups * in_group, height, width)
    torch.manual_seed(0)
    x, grad_y = torch.randn(shape, dtype=torch.double) + shift, torch.randn(shape, dtype=torch.double)
    ours = GroupNorm(shape[1], groups=groups).double()
    assert_equal(run(ours, x, grad_y), run(nn.GroupNorm(groups, shape[1]).double(), x, grad_y), 1e-8)


@pytest.mark.parametrize("name", PAIRS)
def test_float32_is_near_to_float64(name: str) -> None:
    torch.manual_seed(0)
    ours, theirs = (build(16) for build in PAIRS[name])
    random_affine(ours, theirs)
    x, grad_y = torch.randn(8, 16, 40, 40) * 2 + 3, torch.randn(8, 16, 40, 40)
    exact = run(theirs.double(), x.double(), grad_y.double())
    for one, other in zip(run(ours, x, grad_y), exact, strict=True):
        assert (one - other).abs().max() < 3e-6 * other.abs().max()


@pytest.mark.parametrize("name", PAIRS)
def test_a_mean_of_a_thousand_deviations_does_not_spoil_the_variance(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 16, 20, 20) + 1000
    ours, theirs = (build(16) for build in PAIRS[name])
    torch.testing.assert_close(ours(x), theirs.double()(x.double()).float(), rtol=0, atol=5e-4)


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_running_statistics_are_those_of_torch(momentum: float | None) -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(5, momentum=momentum).double(), nn.BatchNorm2d(5, momentum=momentum).double()
    random_affine(ours, theirs)
    for n_photos in (4, 1, 7):
        x = torch.randn(n_photos, 5, 3, 6, dtype=torch.double) * 2 + 3
        ours(x), theirs(x)
        for name, buffer in theirs.named_buffers():
            torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=1e-12, atol=1e-12)
    ours.eval(), theirs.eval()
    x, grad_y = torch.randn(1, 5, 1, 1, dtype=torch.double), torch.randn(1, 5, 1, 1, dtype=torch.double)
    assert_equal(run(ours, x, grad_y), run(theirs, x, grad_y), 1e-12)
    assert int(ours.num_batches_tracked) == 3


@pytest.mark.parametrize("layout", ["channels_last", "transposed", "sliced", "expanded"])
@pytest.mark.parametrize("name", PAIRS)
def test_layouts_of_memory_make_no_difference(name: str, layout: str) -> None:
    torch.manual_seed(0)
    x, grad_y = torch.randn(2, 16, 6, 6).double(), torch.randn(2, 16, 6, 6).double()
    if layout == "channels_last":
        x, grad_y = x.to(memory_format=torch.channels_last), grad_y.to(memory_format=torch.channels_last)
    elif layout == "transposed":
        x, grad_y = x.mT, grad_y.mT
    elif layout == "sliced":
        x, grad_y = x[:, :, ::2, 1::2], grad_y[:, :, 1::2, ::2]
    else:
        grad_y = grad_y[:, :, :1, :1].expand_as(x)  # what a mean over maps sends back
    ours, theirs = (build(16).double() for build in PAIRS[name])
    assert_equal(run(ours, x, grad_y), run(theirs, x.contiguous(), grad_y.contiguous()), 1e-12)


def test_one_group_is_layer_norm_and_one_group_a_channel_is_instance_norm() -> None:
    torch.manual_seed(0)
    x, grad_y = torch.randn(3, 16, 5, 4).double(), torch.randn(3, 16, 5, 4).double()
    for group_norm, other in (
        (GroupNorm(16, groups=1), LayerNorm(16)),
        (GroupNorm(16, groups=16), InstanceNorm(16)),
    ):
        random_affine(group_norm.double(), other.double())
        assert_equal(run(group_norm, x, grad_y), run(other, x, grad_y), 1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("gate", "build"), [(1, BatchNorm), (0, InstanceNorm)])
def test_batch_instance_norm_with_a_gate_at_its_end_is_one_of_the_two(
    gate: int, build: Callable[[int], Norm], training: bool
) -> None:
    torch.manual_seed(0)
    ours, other = BatchInstanceNorm(6).double(), build(6).double()
    random_affine(ours, other)
    nn.init.constant_(ours.gate, gate)
    x, grad_y = torch.randn(3, 6, 5, 4).double() * 2 + 1, torch.randn(3, 6, 5, 4).double()
    ours(x), other(x)
    ours.train(training), other.train(training)
    assert_equal(run(ours, x, grad_y), run(other, x, grad_y), 1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_batch_instance_norm_is_the_formula_of_the_paper(training: bool) -> None:
    torch.manual_seed(0)
    norm = BatchInstanceNorm(6).double()
    random_affine(norm)
    nn.init.uniform_(norm.gate, 0.1, 0.9)
    norm(torch.randn(5, 6, 3, 3).double() + 2)
    norm.train(training)
    batch_norm = nn.BatchNorm2d(6, affine=False).double().train(training)
    batch_norm.load_state_dict({name: buffer.clone() for name, buffer in norm.named_buffers()})
    x = (torch.randn(3, 6, 5, 4).double() * 2 + 1).requires_grad_()
    gate, weight, bias = (parameter[:, None, None] for parameter in (norm.gate, norm.weight, norm.bias))
    formula = weight * (gate * batch_norm(x) + (1 - gate) * functional.instance_norm(x)) + bias
    y = norm(x)
    torch.testing.assert_close(y, formula, rtol=1e-12, atol=1e-12)
    grad_y = torch.randn_like(y)
    sources = (x, norm.weight, norm.bias, norm.gate)
    assert_equal(
        list(torch.autograd.grad(y, sources, grad_y)), list(torch.autograd.grad(formula, sources, grad_y)), 1e-11
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("build", [BatchNorm, InstanceNorm, BatchInstanceNorm, LayerNorm, GroupNorm])
def test_gradients_are_the_slopes_of_the_values(build: Callable[[int], Norm], training: bool) -> None:
    torch.manual_seed(0)
    norm = build(8).double()
    random_affine(norm)
    if isinstance(norm, BatchInstanceNorm):
        nn.init.uniform_(norm.gate, 0.1, 0.9)
    norm.train(training)
    x = torch.randn(2, 8, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: norm(x), (x, *norm.parameters()))


def test_a_training_with_ours_is_the_training_with_the_inbuilt_one() -> None:
    """The sanity check of the study, where rounding cannot hide a difference: float64, the same start and photos.

    Rounding differs by 1e-16 a step and training magnifies that; after 12 steps losses agree to 1e-10.
    """
    losses: dict[str, list[float]] = {}
    states: dict[str, dict[str, Tensor]] = {}
    for norm in ("bn", "inbuilt"):
        torch.manual_seed(0)
        model = ResNet(2, 5, norm=norm).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        losses[norm] = []
        for _ in range(12):
            photos, class_ids = torch.randn(6, 3, 16, 16).double(), torch.randint(5, (6,))
            loss = functional.cross_entropy(model(photos), class_ids)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[norm].append(loss.item())
        states[norm] = model.state_dict()
    assert len(set(losses["bn"])) == 12
    assert losses["bn"] == pytest.approx(losses["inbuilt"], abs=1e-10, rel=0)
    assert states["bn"].keys() == states["inbuilt"].keys()
    for name, value in states["inbuilt"].items():
        torch.testing.assert_close(states["bn"][name], value, rtol=1e-8, atol=1e-10)
