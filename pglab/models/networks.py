"""Networks as shapes and a pure function of stacked parameters.

`shapes(observation, outputs)` names the parameters of one run; `forward(parameters, x)` takes
them stacked `[B, *shape]` with inputs `[B, n, D]` and returns `[B, n, outputs]`. Weights are
`[out, in]` as in `torch.nn.Linear`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from pglab.envs.world import Box, Discrete, Observation

Shapes = dict[str, tuple[int, ...]]
Activation = Literal["tanh", "relu", "silu", "gelu"]


@dataclass(frozen=True)
class MLP:
    """Fully connected layers of the given hidden `sizes`, `activation` between, linear output.

    A discrete observation enters as its one-hot vector.
    """

    sizes: Sequence[int] = (32,)
    activation: Activation = "tanh"

    def __post_init__(self) -> None:
        if not all(isinstance(size, int) and size >= 1 for size in self.sizes):
            raise ValueError(f"sizes={list(self.sizes)} must be whole numbers of at least 1")
        if self.activation not in get_args(Activation):
            allowed = ", ".join(get_args(Activation))
            raise ValueError(f"activation={self.activation!r} is not one of {allowed}")

    def shapes(self, observation: Observation, outputs: int) -> Shapes:
        widths = [observation.size, *self.sizes, outputs]
        shapes: Shapes = {}
        for layer, (before, after) in enumerate(pairwise(widths), 1):
            shapes |= {f"weight_{layer}": (after, before), f"bias_{layer}": (after,)}
        return shapes

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        activation = _tanh if self.activation == "tanh" else getattr(functional, self.activation)
        layers = len(self.sizes) + 1
        x = x.mT
        for layer in range(1, layers + 1):
            x = _affine(parameters[f"weight_{layer}"], parameters[f"bias_{layer}"], x)
            if layer < layers:
                x = activation(x)
        return x.mT


def _affine(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """W x + b for each of B runs: `[B, out, in]`, `[B, out]`, `[B, in, n]` to `[B, out, n]`.

    The bits of a matrix product depend on where its matrices lie in memory. Zeros fill up `in`
    until the W of every run, and with it its gradient, begins at a multiple of 64 bytes, so
    that they all lie alike.
    """
    outputs, inputs = weight.shape[-2:]
    missing = -inputs % (16 // math.gcd(outputs, 16))
    if missing:
        weight, x = functional.pad(weight, (0, missing)), functional.pad(x, (0, 0, 0, missing))
    return torch.baddbmm(bias.unsqueeze(-1), weight, x)


def _tanh(x: Tensor) -> Tensor:
    """tanh x = 2 σ(2x) - 1, to within two roundings of 1 (2⁻²² in single precision); overwrites x.

    `torch.tanh` takes several times as long on a CPU, and would be a third of all training.
    """
    s = x.mul_(2.0).sigmoid_()
    return (s + s).sub_(1.0)


@dataclass(frozen=True)
class Linear:
    """z = φ(s)ᵀ w with the features φ(s) = (1, s): one weight matrix, constant feature first."""

    def shapes(self, observation: Observation, outputs: int) -> Shapes:
        return {"weight": (outputs, 1 + observation.size)}

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        weight = parameters["weight"]
        return _affine(weight[..., 1:], weight[..., 0], x.mT).mT


@dataclass(frozen=True)
class Tabular:
    """One row of parameters an observation: z = w[s]. Needs a discrete observation."""

    def shapes(self, observation: Observation, outputs: int) -> Shapes:
        if not isinstance(observation, Discrete):
            raise ValueError(f"a tabular network needs a discrete observation, this environment has {observation}")
        return {"weight": (outputs, observation.size)}

    def forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        weight = parameters["weight"]
        return _affine(weight, torch.zeros_like(weight[..., 0]), x.mT).mT


def encode(observation: Observation, obs: Tensor) -> Tensor:
    """Network input from a stored observation: `[..., D]` of a Box as it is, an index one-hot."""
    if isinstance(observation, Box):
        return obs
    return functional.one_hot(obs[..., 0].long(), observation.size).to(obs.dtype)
