"""Convolutional networks, for images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from pglab.bits import affine
from pglab.envs.spaces import Box, Space
from pglab.models.networks import (
    Activation,
    Input,
    ParameterShapes,
    activation_of,
    check_activation,
    check_input,
    layer_shapes,
    through_layers,
)

Filters = Sequence[int]  # how many, their side and their stride


@dataclass(frozen=True)
class Conv:
    """Convolutions over an image, then fully connected layers; `activation` after each but the last, linear output.

    A convolution is computed as a matrix product with the patches of the image, so that a run's bits are its own
    (see `pglab.bits`); patches that stick out of the image are left out, as without padding.

    Args:
        layers: of each convolution the number of filters, their side and their stride.
        sizes: units of the fully connected layers.
        activation: after each layer but the last.
        input: what enters for a byte x: "unit" x / 255, "centred" x / 127.5 - 1, "raw" x.
    """

    layers: Sequence[Filters] = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
    sizes: Sequence[int] = (512,)
    activation: Activation = "relu"
    input: Input = "unit"
    takes_images: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for layer in self.layers:
            if len(layer) != 3 or not all(isinstance(n, int) and n >= 1 for n in layer):
                raise ValueError(f"layers={_plain(self.layers)}: each is [filters, side, stride], whole numbers from 1")
        if not self.layers:
            raise ValueError("layers=[] must hold at least one convolution (without any, choose network=mlp)")
        if not all(isinstance(size, int) and size >= 1 for size in self.sizes):
            raise ValueError(f"sizes={list(self.sizes)} must be whole numbers of at least 1")
        check_activation(self.activation)
        check_input(self.input)

    def shapes(self, observation: Space, outputs: int) -> ParameterShapes:
        """
        Raises:
            ValueError: there is no image, or it is smaller than the filters.
        """
        if not isinstance(observation, Box) or len(observation.axes) != 3:
            raise ValueError(
                f"a convolutional network needs images, Box of (channels, height, width); this environment has "
                f"{observation}"
            )
        channels, height, width = observation.axes
        shapes: ParameterShapes = {}
        for number, (filters, side, stride) in enumerate(self.layers, 1):
            if min(height, width) < side:
                raise ValueError(
                    f"layers={_plain(self.layers)}: filters of {side} × {side} do not fit what layer {number} sees of "
                    f"{observation}, {height} × {width}; take smaller ones, such as those of network=conv_minatar"
                )
            shapes |= {f"weight_{number}": (filters, channels, side, side), f"bias_{number}": (filters,)}
            channels, height, width = filters, (height - side) // stride + 1, (width - side) // stride + 1
        return shapes | layer_shapes([channels * height * width, *self.sizes, outputs], len(self.layers) + 1)

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """Outputs `[B, n, outputs]` for images `[B, n, C, H, W]`."""
        activation = activation_of(self.activation)
        images = x.shape[:2]
        for number, (_, side, stride) in enumerate(self.layers, 1):
            height, width = ((length - side) // stride + 1 for length in x.shape[-2:])
            patches = functional.unfold(x.flatten(0, 1), side, stride=stride).unflatten(0, images)
            patches = patches.transpose(1, 2).flatten(2)  # [B, C side², n height width]
            x = activation(affine(parameters[f"weight_{number}"].flatten(2), parameters[f"bias_{number}"], patches))
            x = x.unflatten(2, (images[1], height, width)).transpose(1, 2)
        connected = range(len(self.layers) + 1, len(self.layers) + len(self.sizes) + 2)
        return through_layers(parameters, x.flatten(2).mT, connected, self.activation).mT


def _plain(layers: Sequence[Filters]) -> list[list[int]]:
    return [list(layer) for layer in layers]
