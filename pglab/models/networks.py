"""Networks as shapes and a pure function of stacked parameters.

`shapes(observation, outputs)` names the parameters of one run; `forward(parameters, x)` takes
them stacked `[B, *shape]` with inputs `[B, n, D]` and returns `[B, n, outputs]`. Weights are
`[out, in]` as in `torch.nn.Linear`. A network that says `takes_sparse` is given pictures of whole
numbers with a sign as they are: nearly all are 0, and `pglab.bits.affine` makes use of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from pglab.bits import affine, tanh
from pglab.envs.spaces import Box, Discrete, Space

ParameterShapes = dict[str, tuple[int, ...]]
Activation = Literal["tanh", "relu", "silu", "gelu"]
Input = Literal["unit", "centred", "raw"]  # what enters for a byte x: x / 255, x / 127.5 - 1, x


@dataclass(frozen=True)
class MLP:
    """Fully connected layers of the given hidden `sizes`, `activation` between, linear output.

    A discrete observation enters as its one-hot vector.
    """

    sizes: Sequence[int] = (32,)
    activation: Activation = "tanh"
    takes_sparse: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not all(isinstance(size, int) and size >= 1 for size in self.sizes):
            raise ValueError(f"sizes={list(self.sizes)} must be whole numbers of at least 1")
        check_activation(self.activation)

    def shapes(self, observation: Space, outputs: int) -> ParameterShapes:
        return layer_shapes([observation.size, *self.sizes, outputs], 1)

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return through_layers(parameters, x.mT, range(1, len(self.sizes) + 2), self.activation).mT


def activation_of(name: Activation) -> Callable[[Tensor], Tensor]:
    """The function of that name; it may overwrite what it is given."""
    return tanh if name == "tanh" else getattr(functional, name)


def layer_shapes(widths: Sequence[int], first: int) -> ParameterShapes:
    """The parameters of fully connected layers between widths, numbered from `first` on."""
    shapes: ParameterShapes = {}
    for layer, (before, after) in enumerate(pairwise(widths), first):
        shapes |= {f"weight_{layer}": (after, before), f"bias_{layer}": (after,)}
    return shapes


def through_layers(parameters: dict[str, Tensor], x: Tensor, layers: range, activation: Activation) -> Tensor:
    """Outputs `[B, out, n]` of fully connected layers with an activation between, for inputs `[B, in, n]`."""
    active = activation_of(activation)
    for layer in layers:
        x = affine(parameters[f"weight_{layer}"], parameters[f"bias_{layer}"], x)
        if layer != layers[-1]:
            x = active(x)
    return x


def check_activation(activation: Activation) -> None:
    """Raises ValueError where there is none of that name."""
    if activation not in get_args(Activation):
        raise ValueError(f"activation={activation!r} is not one of {', '.join(get_args(Activation))}")


def check_input(given: Input) -> None:
    """Raises ValueError where bytes cannot enter so."""
    if given not in get_args(Input):
        raise ValueError(f"input={given!r} is not one of {', '.join(get_args(Input))}")


@dataclass(frozen=True)
class WithoutBias(MLP):
    """The same layers without biases."""

    def shapes(self, observation: Space, outputs: int) -> ParameterShapes:
        return {name: shape for name, shape in super().shapes(observation, outputs).items() if len(shape) == 2}

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        zeros = {f"bias_{name.removeprefix('weight_')}": w.new_zeros(w.shape[:-1]) for name, w in parameters.items()}
        return super().forward({**parameters, **zeros}, x)


@dataclass(frozen=True)
class Linear:
    """z = φ(s)ᵀ w with the features φ(s) = (1, s): one weight matrix, constant feature first."""

    takes_sparse: ClassVar[bool] = True

    def shapes(self, observation: Space, outputs: int) -> ParameterShapes:
        return {"weight": (outputs, 1 + observation.size)}

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        weight = parameters["weight"]
        return affine(weight[..., 1:], weight[..., 0], x.mT).mT


@dataclass(frozen=True)
class Tabular:
    """One row of parameters an observation: z = w[s]. Needs a discrete observation."""

    def shapes(self, observation: Space, outputs: int) -> ParameterShapes:
        if not isinstance(observation, Discrete):
            raise ValueError(f"a tabular network needs a discrete observation, this environment has {observation}")
        return {"weight": (outputs, observation.size)}

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        weight = parameters["weight"]
        return affine(weight, torch.zeros_like(weight[..., 0]), x.mT).mT


@dataclass(frozen=True)
class Normalized:
    """A network that sees clip((s - m) / σ, ± `clip`) in place of a real-valued observation s.

    m and 1 / σ stand beside the parameters of each run, and nothing but `set_buffers` of the model changes them.
    Bytes enter as they are.
    """

    network: Any
    clip: float
    input: ClassVar[Input] = "raw"

    @property
    def takes_images(self) -> bool:
        return getattr(self.network, "takes_images", False)

    @property
    def buffers(self) -> dict[str, float]:
        """Names of what is no parameter, with the value that it begins with."""
        return {"observation_mean": 0.0, "observation_scale": 1.0}

    def shapes(self, observation: Space, outputs: int) -> ParameterShapes:
        if not isinstance(observation, Box):
            raise ValueError(f"observations=normalized is for numbers, this environment has {observation}")
        return self.network.shapes(observation, outputs) | dict.fromkeys(self.buffers, (observation.size,))

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        mean, scale = (parameters[name].detach()[..., None, :] for name in self.buffers)
        seen = ((x.flatten(2) - mean) * scale).clamp(-self.clip, self.clip)
        return self.network.forward(parameters, seen.reshape(x.shape))


def encode(observation: Space, obs: Tensor, given: Input = "unit") -> Tensor:
    """Network input from a stored observation: `[..., D]` of a Box as it is, of bytes as asked for, an index one-hot.

    Whole numbers that have a sign stay what they are.
    """
    if isinstance(observation, Box):
        if observation.dtype != torch.uint8:
            return obs if obs.dtype.is_floating_point else obs.float()
        return {"unit": lambda x: x / 255, "centred": lambda x: x / 127.5 - 1, "raw": lambda x: x}[given](obs.float())
    return functional.one_hot(obs[..., 0].long(), observation.size).to(obs.dtype)
