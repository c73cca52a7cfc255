"""The shape of the net, what it reports of itself, how it begins, and that it learns."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from myna.birds.norms import NORMS
from myna.birds.resnet import Convolution, Layer, PaddedIdentity, ResNet


def convolutions(model: nn.Module) -> list[Convolution]:
    return [module for module in model.modules() if isinstance(module, Convolution)]


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_there_are_6n_plus_2_layers(n: int, shortcut: str) -> None:
    assert ResNet(n, 25, shortcut=shortcut).n_layers == 6 * n + 2


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_maps_have_the_sizes_that_are_reported(shortcut: str) -> None:
    model = ResNet(2, 25, shortcut=shortcut)
    assert model.map_sizes(256, 256) == [(16, 256, 256), (32, 128, 128), (64, 64, 64)]
    shapes: list[torch.Size] = []
    for group in model.groups:
        group.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape[1:]))
    assert model(torch.randn(1, 3, 256, 256)).shape == (1, 25)
    assert shapes == model.map_sizes(256, 256)


def test_multiply_adds_are_those_counted_by_hand() -> None:
    """n = 1 on 8 x 8 photos and 5 classes, layer by layer: pixels out x filters x 9 x channels in."""
    first = 64 * 16 * 27
    groups = 2 * 64 * 16 * 144 + 16 * 32 * (144 + 288) + 4 * 64 * (288 + 576)
    assert ResNet(1, 5).multiply_adds(8, 8) == first + groups + 64 * 5
    projections = 16 * 32 * 16 + 4 * 64 * 32
    assert ResNet(1, 5, shortcut="projection").multiply_adds(8, 8) == first + groups + projections + 64 * 5
    model = ResNet(2, 25)
    assert model.multiply_adds(64, 128) - 1600 == 2 * (model.multiply_adds(64, 64) - 1600)


def test_parameters_are_those_counted_by_hand() -> None:
    weights = 9 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 64 * 5 + 5
    channels = 3 * 16 + 2 * 32 + 2 * 64
    assert ResNet(1, 5, norm="bn").n_parameters == weights + 2 * channels
    assert ResNet(1, 5, norm="bin").n_parameters == weights + 3 * channels
    assert ResNet(1, 5, norm="nn").n_parameters == weights + channels


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_follows_every_convolution_and_trains(norm: str) -> None:
    model = ResNet(1, 4, norm=norm, shortcut="projection", in_channels=1)
    layers = [module for module in model.modules() if isinstance(module, Layer)]
    assert [[type(part) for part in layer] for layer in layers] == [[Convolution, NORMS[norm]]] * 9
    assert all((layer.conv.bias is not None) == (norm == "nn") for layer in layers)
    functional.cross_entropy(model(torch.randn(2, 1, 12, 20)), torch.tensor([0, 3])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all()


def test_options_reach_every_norm() -> None:
    model = ResNet(1, 4, norm="gn", norm_options={"groups": 2, "eps": 0.1}, shortcut="projection")
    norms = [module for module in model.modules() if isinstance(module, NORMS["gn"])]
    assert [(norm.groups, norm.eps) for norm in norms] == [(2, 0.1)] * 9


def test_nets_with_other_norms_begin_with_the_same_weights() -> None:
    starts = []
    for norm in NORMS:
        torch.manual_seed(3)
        model = ResNet(2, 25, norm=norm)
        starts.append([*(conv.weight for conv in convolutions(model)), model.output.weight, torch.rand(1)])
    for start in starts[1:]:
        assert all(torch.equal(one, other) for one, other in zip(start, starts[0], strict=True))


def test_weights_begin_with_the_deviation_of_he() -> None:
    torch.manual_seed(0)
    model = ResNet(2, 1000)
    for conv in convolutions(model):
        fan_in = conv.weight[0].numel()
        assert conv.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
        assert conv.weight.mean().abs() < 0.2 * conv.weight.std()
    assert model.output.weight.std().item() == pytest.approx(64**-0.5, rel=0.05)
    assert model.output.bias.abs().max() == 0


def test_the_shortcut_without_parameters_thins_out_and_pads_with_zeros() -> None:
    x = torch.arange(2 * 4 * 4.0).view(1, 2, 4, 4)
    y = PaddedIdentity(3, stride=2)(x)
    assert y.shape == (1, 5, 2, 2)
    assert y[0, :2].tolist() == [[[0, 2], [8, 10]], [[16, 18], [24, 26]]]
    assert y[0, 2:].abs().max() == 0
    assert PaddedIdentity(0, stride=1)(x) is x


def test_a_block_whose_layers_are_silent_is_its_shortcut() -> None:
    model = ResNet(2, 4)
    block = model.groups[0][1]
    nn.init.zeros_(block.layer2.norm.weight)
    x = torch.rand(2, 16, 8, 8)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("size", [(30, 32), (32, 30), (2, 4), (0, 4)])
def test_photos_that_do_not_halve_twice_are_refused(size: tuple[int, int]) -> None:
    model = ResNet(1, 4)
    for use in (lambda: model(torch.zeros(1, 3, *size)), lambda: model.multiply_adds(*size)):
        with pytest.raises(ValueError, match=f"sides divisible by 4, not {size[0]} x {size[1]}"):
            use()


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 4, 32, 32)])
def test_what_are_not_photos_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected photos \(N, 3, H, W\)"):
        ResNet(1, 4)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "expected n to be at least 1, not 0"),
        ({"n_classes": 0}, "expected n_classes to be at least 1, not 0"),
        ({"in_channels": 0}, "expected in_channels to be at least 1, not 0"),
        ({"shortcut": "none"}, "one of identity, projection, not 'none'"),
        ({"norm": "batch"}, "norm 'batch': expected one of bn, in,"),
        ({"norm": "gn", "norm_options": {"groups": 5}}, "divide 16 channels, not 5"),
        ({"norm": "ln", "norm_options": {"groups": 5}}, "norm 'ln' has no option 'groups', only eps"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResNet(**{"n": 1, "n_classes": 4, **arguments})


@pytest.mark.parametrize("n", [1, 2])
def test_the_last_layers_give_their_maps_and_the_net_leaves_them_alone(n: int) -> None:
    model = ResNet(n, 4).eval()
    outputs: list[Tensor] = []
    copies: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        outputs.append(output)
        copies.append(output.clone())

    for layer in model.last_layers():
        layer.register_forward_hook(keep)
    logits = model(torch.randn(2, 3, 16, 16))
    assert [output.shape for output in outputs] == [(2, 64, 4, 4)] * (2 * n)
    for output, kept in zip(outputs, copies, strict=True):
        assert torch.equal(output, kept)
        assert output.min() == 0
        assert output.max() > 0
    torch.testing.assert_close(model.output(outputs[-1].mean((2, 3))), logits)
    gradients = torch.autograd.grad(logits[:, 1].sum(), outputs)
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_channels_last_and_copies_give_the_same_logits() -> None:
    model, photos = ResNet(1, 4).double().eval(), torch.randn(2, 3, 16, 12).double()
    logits = model(photos)
    torch.testing.assert_close(copy.deepcopy(model)(photos), logits, rtol=0, atol=0)
    model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(photos.to(memory_format=torch.channels_last)), logits)


@pytest.mark.parametrize("norm", ["bn", "gn"])
def test_bfloat16_autocast_is_near_to_float32(norm: str) -> None:
    torch.manual_seed(0)
    model, photos = ResNet(1, 4, norm=norm), torch.randn(4, 3, 16, 16)
    exact = model(photos)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(photos)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("norm", NORMS)
def test_eight_photos_are_learnt_by_heart(norm: str) -> None:
    torch.manual_seed(0)
    model = ResNet(1, 4, norm=norm)
    photos, class_ids = torch.randn(8, 3, 16, 16), torch.arange(8) % 4
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(40):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(photos), class_ids)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_a_net_describes_itself_in_one_line() -> None:
    assert ResNet(2, 25).describe(64) == (
        "ResNet of 14 layers and 173,481 parameters; maps: 16 of 64 x 64, 32 of 32 x 32, 64 of 16 x 16; "
        "106 million multiply-adds a photo"
    )
