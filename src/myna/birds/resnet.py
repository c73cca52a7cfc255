"""The residual net of the birds study: 6n + 2 layers for any n, any number of classes and any norm.

Built after He et al., "Deep residual learning" (arXiv 1512.03385, section 4.2, the nets for CIFAR-10), with the norm
right after each convolution. Photos may have any size that halves twice, since the mean over each of the last maps
makes the output indifferent to it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from myna.birds.norms import build_norm

GROUP_CHANNELS = (16, 32, 64)
SHORTCUTS = ("identity", "projection")


class Convolution(nn.Conv2d):
    """A zero-padded convolution that begins with the weights of He et al. (arXiv 1502.01852, equation 10).

    They come from a normal distribution of variance 2 / fan-in, and a bias begins at 0. Nothing else is drawn, so
    that nets which differ in norms or biases alone have the same weights under the same seed.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the filters, odd.
        stride: Step from one output to the next, in pixels.
        bias: Whether there is a bias.

    Shape:
        Input: (N, in_channels, H, W). Output: (N, out_channels, H / stride, W / stride), rounded up.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, bias: bool) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=bias)

    def reset_parameters(self) -> None:
        """Draws the weights."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Layer(nn.Sequential):
    """A convolution and its norm, `conv` and `norm`.

    The convolution has a bias where there is no norm (`nn`): after any other, the bias of the norm takes its place.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the filters, odd.
        stride: Step from one output to the next, in pixels.
        norm: Name in `NORMS`.
        norm_options: The options of that norm.

    Shape:
        Input: (N, in_channels, H, W). Output: (N, out_channels, H / stride, W / stride), rounded up.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        norm: str,
        norm_options: Mapping[str, Any],
    ) -> None:
        conv = Convolution(in_channels, out_channels, kernel_size, stride, bias=norm == "nn")
        super().__init__(OrderedDict(conv=conv, norm=build_norm(norm, out_channels, **norm_options)))


class PaddedIdentity(nn.Module):
    """The shortcut without parameters, option A of the paper: every stride-th pixel, and zeros for added channels.

    Args:
        n_added: How many channels the output has more than the input.
        stride: Step from pixel to pixel.

    Shape:
        Input: (N, C, H, W). Output: (N, C + n_added, H / stride, W / stride), rounded up.
    """

    def __init__(self, n_added: int, stride: int) -> None:
        super().__init__()
        self.n_added = n_added
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Thins out the pixels and appends the channels."""
        if self.n_added == 0 and self.stride == 1:
            return x
        thinned = x[:, :, :: self.stride, :: self.stride]  # (N, C, H / stride, W / stride)
        return functional.pad(thinned, (0, 0, 0, 0, 0, self.n_added))  # (N, C + n_added, H / stride, W / stride)

    def extra_repr(self) -> str:
        """What `print(model)` shows of the arguments."""
        return f"n_added={self.n_added}, stride={self.stride}"


class Block(nn.Module):
    """Two layers and a shortcut around them: relu(layer2(relu(layer1(x))) + shortcut(x)).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; if these are others, the first layer has stride 2.
        norm: Name in `NORMS`.
        norm_options: The options of that norm.
        shortcut: One of `SHORTCUTS`.

    Shape:
        Input: (N, in_channels, H, W). Output: (N, out_channels, H / stride, W / stride), rounded up.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm: str, norm_options: Mapping[str, Any], shortcut: str
    ) -> None:
        super().__init__()
        stride = 1 if in_channels == out_channels else 2
        self.layer1 = Layer(in_channels, out_channels, 3, stride, norm, norm_options)
        self.relu1 = nn.ReLU(inplace=True)
        self.layer2 = Layer(out_channels, out_channels, 3, 1, norm, norm_options)
        self.shortcut: nn.Module = PaddedIdentity(out_channels - in_channels, stride)
        if shortcut == "projection" and stride != 1:
            self.shortcut = Layer(in_channels, out_channels, 1, stride, norm, norm_options)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps to maps."""
        y: Tensor = self.layer2(self.relu1(self.layer1(x)))  # (N, out_channels, H / stride, W / stride)
        y += self.shortcut(x)
        return self.relu2(y)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A residual net of 6n + 2 layers.

    A 3 x 3 convolution to 16 maps; three groups of n blocks of two such layers with 16, 32 and 64 maps, which halve
    height and width at the head of the second and third group; the mean over each map; one linear layer.

    Sums and ReLUs are computed in place, which saves memory and time. So to look at maps, hook `last_layers()`: what
    a hook on a norm keeps is overwritten.

    Args:
        n: Blocks in a group.
        n_classes: Number of outputs.
        norm: Name in `NORMS`.
        norm_options: The options of that norm, such as `{"groups": 4}` for `gn`.
        shortcut: How a block is bridged where its shape changes: `identity` (option A of the paper, no parameters) or
            `projection` (option B, a 1 x 1 convolution and a norm).
        in_channels: Channels of a photo.

    Shape:
        Input: (N, in_channels, H, W), with H and W divisible by 4. Output: (N, n_classes), logits.

    Raises:
        ValueError: on arguments out of range; in `forward`, on photos of another shape.
    """

    def __init__(
        self,
        n: int,
        n_classes: int,
        norm: str = "bn",
        norm_options: Mapping[str, Any] | None = None,
        shortcut: str = "identity",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        for name, count in (("n", n), ("n_classes", n_classes), ("in_channels", in_channels)):
            if count < 1:
                raise ValueError(f"ResNet: expected {name} to be at least 1, not {count}")
        if shortcut not in SHORTCUTS:
            raise ValueError(f"ResNet: expected shortcut to be one of {', '.join(SHORTCUTS)}, not {shortcut!r}")
        self.in_channels = in_channels
        options = norm_options or {}
        channels = GROUP_CHANNELS[0]
        self.layer = Layer(in_channels, channels, 3, 1, norm, options)
        self.relu = nn.ReLU(inplace=True)
        self.groups = nn.ModuleList()
        for out_channels in GROUP_CHANNELS:
            before = [channels] + [out_channels] * (n - 1)
            self.groups.append(nn.Sequential(*(Block(c, out_channels, norm, options, shortcut) for c in before)))
            channels = out_channels
        self.output = nn.Linear(channels, n_classes)
        nn.init.kaiming_normal_(self.output.weight, nonlinearity="linear")
        nn.init.zeros_(self.output.bias)

    def forward(self, photos: Tensor) -> Tensor:
        """Photos to logits."""
        if photos.dim() != 4 or photos.shape[1] != self.in_channels:
            expected = f"(N, {self.in_channels}, H, W)"
            raise ValueError(f"ResNet: expected photos {expected}, not {tuple(photos.shape)}")
        self.map_sizes(*photos.shape[2:])  # refuses what does not halve
        maps = self.relu(self.layer(photos))  # (N, 16, H, W)
        for group in self.groups:
            maps = group(maps)  # (N, 16, H, W), (N, 32, H / 2, W / 2), (N, 64, H / 4, W / 4)
        logits: Tensor = self.output(maps.mean((2, 3)))  # (N, n_classes)
        return logits

    def last_layers(self) -> list[nn.Module]:
        """The 2n modules whose outputs are the maps, after ReLU, of the layers of the last group (for Grad-CAM)."""
        return [module for module in self.groups[-1].modules() if isinstance(module, nn.ReLU)]

    @property
    def n_layers(self) -> int:
        """Number of layers from photo to logits, 6n + 2: 3 x 3 convolutions and the output."""
        convolutions = [module for module in self.modules() if isinstance(module, Convolution)]
        return sum(conv.kernel_size == (3, 3) for conv in convolutions) + 1

    @property
    def n_parameters(self) -> int:
        """Number of single weights and biases, those of the norms included."""
        return sum(parameter.numel() for parameter in self.parameters())

    def map_sizes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Channels, height and width of the maps of each group, for photos of `height` x `width` pixels.

        Raises:
            ValueError: if the photos do not halve twice without remainder.
        """
        if height < 4 or width < 4 or height % 4 or width % 4:
            raise ValueError(f"ResNet: expected photos with sides divisible by 4, not {height} x {width}")
        return [(channels, height >> i, width >> i) for i, channels in enumerate(GROUP_CHANNELS)]

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiplications with a weight, for one photo of `height` x `width` pixels, each with its addition.

        Convolutions and the output are counted, as is usual; norms, sums and means are not.
        """
        stages = [nn.ModuleList([self.layer, self.groups[0]]), *self.groups[1:]]
        total = self.output.weight.numel()
        for stage, (_, map_height, map_width) in zip(stages, self.map_sizes(height, width), strict=True):
            convolutions = [module for module in stage.modules() if isinstance(module, Convolution)]
            total += map_height * map_width * sum(conv.weight.numel() for conv in convolutions)
        return total

    def describe(self, size: int) -> str:
        """One line for people: layers, parameters, the maps of each group and the cost, for square photos."""
        maps = ", ".join(f"{channels} of {height} x {width}" for channels, height, width in self.map_sizes(size, size))
        return (
            f"ResNet of {self.n_layers} layers and {self.n_parameters:,} parameters; maps: {maps}; "
            f"{self.multiply_adds(size, size) / 1e6:,.0f} million multiply-adds a photo"
        )
