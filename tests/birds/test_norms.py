"""What the norms promise beyond their values: refusals, precision, state, memory, and that none is torch's own."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from myna.birds.norms import NORMS, BatchInstanceNorm, BatchNorm, GroupNorm, build_norm

OURS = ["bn", "in", "bin", "ln", "gn"]


def random_parameters(norm: nn.Module) -> nn.Module:
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.1, 0.9)
    return norm


@pytest.mark.parametrize("name", NORMS)
def test_every_norm_is_built_from_its_channels_and_keeps_the_shape(name: str) -> None:
    norm = build_norm(name, 16)
    assert isinstance(norm, NORMS[name])
    x = torch.randn(2, 16, 4, 5)
    assert norm(x).shape == x.shape
    assert norm.eval()(x).shape == x.shape


def test_no_norm_gives_its_input() -> None:
    x = torch.randn(2, 16, 4, 5)
    assert build_norm("nn", 16)(x) is x


def test_names_and_options_are_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"norm 'batch': expected one of bn, in, bin, ln, gn, nn, inbuilt"):
        build_norm("batch", 16)
    with pytest.raises(ValueError, match=r"norm 'gn' has no option 'group', only groups, eps"):
        build_norm("gn", 16, group=4)
    with pytest.raises(ValueError, match=r"norm 'nn' has no option 'eps', only none"):
        build_norm("nn", 16, eps=1e-3)


@pytest.mark.parametrize("groups", [0, -1, 5, 32])
def test_groups_that_do_not_divide_are_refused(groups: int) -> None:
    with pytest.raises(ValueError, match=f"groups that divide 16 channels, not {groups}"):
        GroupNorm(16, groups=groups)


@pytest.mark.parametrize("shape", [(16, 4, 4), (2, 8, 4, 4), (2, 16, 0, 4), (2, 16, 4, 0), (0, 16, 4, 4)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", OURS)
def test_what_are_not_maps_is_refused(name: str, training: bool, shape: tuple[int, ...]) -> None:
    norm = build_norm(name, 16).train(training)
    with pytest.raises(ValueError, match=r"expected maps \(N, 16, H, W\)"):
        norm(torch.zeros(shape))


def test_a_mean_of_one_value_is_refused_where_torch_refuses_it() -> None:
    single, photos = torch.zeros(1, 8, 1, 1), torch.randn(2, 8, 1, 1)
    for norm in (build_norm("bn", 8), build_norm("in", 8), build_norm("bin", 8), build_norm("gn", 8, groups=8)):
        with pytest.raises(ValueError, match="more than one value"):
            norm(single)
    for norm in (build_norm("in", 8), build_norm("bin", 8)):
        with pytest.raises(ValueError, match="more than one value"):
            norm(photos)
    for norm in (build_norm("bn", 8).eval(), build_norm("ln", 8), build_norm("gn", 8, groups=4)):
        assert norm(single).shape == single.shape
    assert build_norm("bn", 8)(photos).shape == photos.shape


@pytest.mark.parametrize("name", OURS)
def test_a_single_photo_trains_and_evaluates(name: str) -> None:
    norm = build_norm(name, 16)
    y = norm(torch.randn(1, 16, 8, 8) * 5 + 2)
    y.square().sum().backward()
    assert y.mean().abs() < 1e-5
    assert y.var().item() == pytest.approx(1, abs=0.01)
    assert norm.eval()(torch.randn(1, 16, 8, 8)).isfinite().all()


@pytest.mark.parametrize("name", ["in", "ln", "gn"])
def test_norms_of_a_photo_know_no_batch_and_no_mode(name: str) -> None:
    norm, x = build_norm(name, 16), torch.randn(5, 16, 6, 6)
    together = norm(x)
    torch.testing.assert_close(together[3:4], norm(x[3:4]))
    torch.testing.assert_close(together, norm.eval()(x))


@pytest.mark.parametrize("name", OURS)
def test_maps_without_deviation_give_the_bias(name: str) -> None:
    norm = random_parameters(build_norm(name, 16))
    x = torch.full((2, 16, 4, 4), 3.7, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    torch.testing.assert_close(y, norm.bias[:, None, None].expand_as(y), rtol=0, atol=1e-3)
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", OURS)
def test_half_precision_takes_its_statistics_in_float32(name: str) -> None:
    """Maps of 2,500 values about 100: a mean in bfloat16 would be off by up to 0.25, a quarter of their deviation."""
    torch.manual_seed(0)
    x = (torch.randn(2, 16, 50, 50) + 100).bfloat16()
    norm, exact = random_parameters(build_norm(name, 16)), build_norm(name, 16).double()
    exact.load_state_dict(norm.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = norm(x)
    grad_y = torch.randn(y.shape).bfloat16()
    y.backward(grad_y)
    z = exact(x.double())
    z.backward(grad_y.double())
    assert y.dtype == torch.bfloat16
    assert (y.double() - z).abs().max() < 2**-8 * z.abs().max()
    for parameter, reference in zip(norm.parameters(), exact.parameters(), strict=True):
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        torch.testing.assert_close(parameter.grad.double(), reference.grad, rtol=1e-3, atol=1e-2)
    for buffer, reference in zip(norm.buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(buffer.double(), reference.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", OURS)
def test_autocast_leaves_the_arithmetic_of_float32_maps_alone(name: str) -> None:
    torch.manual_seed(0)
    norm, x, grad_y = random_parameters(build_norm(name, 16)), torch.randn(2, 16, 6, 6), torch.randn(2, 16, 6, 6)

    def run() -> list[Tensor]:
        leaf = x.clone().requires_grad_()
        y = norm(leaf)
        return [y, *torch.autograd.grad(y, (leaf, *norm.parameters()), grad_y)]

    plain = run()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = run()
    for one, other in zip(under_autocast, plain, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", OURS)
def test_a_norm_may_itself_be_of_half_precision(name: str) -> None:
    norm = build_norm(name, 16).bfloat16()
    x = torch.randn(2, 16, 6, 6, dtype=torch.bfloat16, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert y.dtype == norm.weight.grad.dtype == torch.bfloat16
    assert all(buffer.dtype == torch.bfloat16 for name, buffer in norm.named_buffers() if "running" in name)
    assert norm.eval()(x).dtype == torch.bfloat16


@pytest.mark.parametrize("name", OURS)
def test_other_devices_need_no_look_at_the_values(name: str) -> None:
    """On `meta`, as on a GPU, nothing may wait for a number; shapes are all there is to check here."""
    norm = build_norm(name, 16).to("meta")
    x = torch.randn(2, 16, 6, 6, device="meta", requires_grad=True)
    norm(x).sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


def test_the_formulas_for_other_devices_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from myna.birds import norm_functions

    class Elsewhere(Tensor):
        """A tensor that says it is on another device."""

        device = torch.device("meta")

    a, b = torch.randn(2, 3, 2, 5, 4), torch.randn(2, 3, 2, 5, 4)
    there = a.as_subclass(Elsewhere)
    for one, other in zip(norm_functions._map_moments(there), norm_functions._map_moments(a), strict=True):
        torch.testing.assert_close(one.as_subclass(Tensor), other)
    torch.testing.assert_close(norm_functions._map_dot(there, b).as_subclass(Tensor), norm_functions._map_dot(a, b))


@pytest.mark.parametrize("name", ["in", "ln", "gn"])
def test_a_photo_that_is_not_finite_spoils_no_other(name: str) -> None:
    torch.manual_seed(0)
    norm, x = build_norm(name, 16), torch.randn(3, 16, 8, 8) + 1000
    expected = norm(x[1:])
    x[0, 0, 0, 0] = torch.nan
    torch.testing.assert_close(norm(x)[1:], expected)


@pytest.mark.parametrize("name", ["bn", "bin"])
def test_running_statistics_of_half_precision_are_used_in_float32(name: str) -> None:
    norm = build_norm(name, 2).half().eval()
    norm.running_mean.fill_(300)
    norm.running_var.fill_(1e-5)
    x = torch.full((1, 2, 2, 2), 300.0).half()
    assert norm(x).abs().max() < 2e-3  # scales of 300 cancel to that even in float32


def test_state_goes_from_ours_to_the_inbuilt_norm_and_back() -> None:
    torch.manual_seed(0)
    ours, inbuilt, x = random_parameters(BatchNorm(16)), nn.BatchNorm2d(16), torch.randn(4, 16, 5, 5) * 3 + 1
    ours(x)
    inbuilt.load_state_dict(ours.state_dict())
    torch.testing.assert_close(inbuilt.eval()(x), ours.eval()(x))
    inbuilt.train()(x + 1)
    ours.load_state_dict(inbuilt.state_dict())
    assert int(ours.num_batches_tracked) == 2
    torch.testing.assert_close(inbuilt.eval()(x), ours(x))


@pytest.mark.parametrize("name", OURS)
def test_copies_are_independent_and_equal(name: str) -> None:
    norm, x = random_parameters(build_norm(name, 16)), torch.randn(4, 16, 5, 5)
    norm(x)
    for twin in (copy.deepcopy(norm), pickle.loads(pickle.dumps(norm))):
        assert torch.equal(twin.eval()(x), norm.eval()(x))
        with torch.no_grad():
            twin.weight.zero_()
            if isinstance(twin, BatchInstanceNorm):
                twin.gate.fill_(7)
                assert twin.state_dict()["gate"].max() == 1
        assert norm.weight.abs().min() > 0


def test_gates_are_clipped_after_each_step_before_anything_sees_them() -> None:
    norm = BatchInstanceNorm(3)
    assert norm.gate.tolist() == [1, 1, 1]

    def leave() -> None:
        with torch.no_grad():
            norm.gate.copy_(torch.tensor([-0.5, 0.5, 1.5]))

    x = torch.randn(2, 3, 4, 4)
    for use in (norm.train(), norm.eval(), lambda _: nn.Sequential(norm).state_dict()):
        leave()
        use(x)
        assert norm.gate.tolist() == [0, 0.5, 1]


def test_a_clipped_gate_comes_back() -> None:
    norm = BatchInstanceNorm(3)
    optimizer = torch.optim.SGD([norm.gate], lr=0.25)
    for sign, expected in ((1, 0.75), (-1, 1.0), (-1, 1.0), (1, 0.75)):
        norm.gate.grad = torch.full((3,), float(sign))
        optimizer.step()
        assert norm.state_dict()["gate"].tolist() == [expected] * 3


def test_two_forward_passes_may_precede_one_backward_pass() -> None:
    norm = BatchInstanceNorm(3)
    (norm(torch.randn(2, 3, 4, 4)) + norm(torch.randn(2, 3, 4, 4))).sum().backward()
    assert norm.gate.grad is not None


@pytest.mark.parametrize("name", OURS)
def test_a_result_may_be_changed_in_place(name: str) -> None:
    norm, x = random_parameters(build_norm(name, 16)), torch.randn(2, 16, 4, 4, requires_grad=True)
    (expected,) = torch.autograd.grad(torch.relu(norm(x) * 2).sum(), x)
    (gradient,) = torch.autograd.grad(norm(x).mul_(2).relu_().sum(), x)
    assert torch.equal(gradient, expected)


@pytest.mark.parametrize("name", OURS)
def test_a_graph_may_be_walked_twice_but_not_differentiated_twice(name: str) -> None:
    norm, x = random_parameters(build_norm(name, 16)), torch.randn(2, 16, 4, 4, requires_grad=True)
    y = norm(x).pow(3).sum()
    (first,) = torch.autograd.grad(y, x, retain_graph=True)
    (second,) = torch.autograd.grad(y, x, create_graph=True)
    assert torch.equal(first, second)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        second.sum().backward()


@pytest.mark.parametrize("name", OURS)
def test_the_input_is_the_only_large_tensor_that_is_kept(name: str) -> None:
    kept: list[Tensor] = []
    x = torch.randn(2, 16, 30, 30, requires_grad=True) * 1
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        y = build_norm(name, 16)(x)
    assert [tensor.data_ptr() for tensor in kept if tensor.numel() > 1000] == [x.data_ptr()]
    assert sum(tensor.numel() for term in y.grad_fn.terms for tensor in term[:2]) <= 4 * 2 * 16


class Operations(TorchDispatchMode):
    """Notes the names of all operations that torch carries out."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", [*OURS, "inbuilt"])
def test_no_norm_of_torch_is_called(name: str, training: bool) -> None:
    norm, x = build_norm(name, 16).train(training), torch.randn(2, 16, 4, 4, requires_grad=True)
    with Operations() as operations:
        norm(x).sum().backward()
    norms = {operation for operation in operations.names if "norm" in operation} - {"linalg_vector_norm"}
    assert operations.names
    assert bool(norms) == (name == "inbuilt")
