"""All parameters of a run as one flat row, and how they are drawn.

One flat matrix `[K, P]` makes every optimizer a single vectorised step. P is padded so that each
row starts on a vector boundary (see `pglab.bits`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Generator, Tensor

from pglab.bits import aligned
from pglab.models.networks import ParameterShapes

Given = float | Sequence[float]  # one number for all of a parameter, or each of them


@dataclass(frozen=True)
class Layout:
    """The places of the named parameters in the flat row."""

    shapes: ParameterShapes

    @property
    def size(self) -> int:
        return aligned(sum(math.prod(shape) for shape in self.shapes.values()))

    @cached_property
    def _sizes(self) -> list[int]:
        """Numbers of each parameter."""
        return [math.prod(shape) for shape in self.shapes.values()]

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Named views `[..., *shape]` of `[..., P]`."""
        used, runs = self._sizes, flat.shape[:-1]
        parts = flat.split([*used, flat.shape[-1] - sum(used)], -1)  # the rest is padding
        return {name: part.view(*runs, *shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=False)}

    def leaves(self, flat: Tensor) -> dict[str, Tensor]:
        """Named leaf tensors of `[..., P]`, to take gradients with respect to."""
        return {name: view.detach().requires_grad_() for name, view in self.unflatten(flat).items()}

    def gradient(self, total: Tensor, leaves: dict[str, Tensor], retain_graph: bool = False) -> Tensor:
        """The gradient of a scalar with respect to `leaves`, `[..., P]`."""
        # Zeros for what is no parameter (see `pglab.models.networks.Normalized`).
        slopes = torch.autograd.grad(total, list(leaves.values()), retain_graph=retain_graph, materialize_grads=True)
        return self.flatten(dict(zip(leaves, slopes, strict=True)))

    def flatten(self, named: dict[str, Tensor]) -> Tensor:
        """`[..., P]` of named parameters `[..., *shape]`, zeros in the padding."""
        parts = [named[name].flatten(-len(shape)) for name, shape in self.shapes.items()]
        used = torch.cat(parts, -1)
        return torch.nn.functional.pad(used, (0, self.size - used.shape[-1]))


class Init(Protocol):
    """Draws one parameter of one run; one of the last layer by a method `last_layer`, where there is such."""

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor: ...


@dataclass(frozen=True)
class PyTorchDefault:
    """U(-1/√n, 1/√n) with n inputs, for weights and biases, as `torch.nn.Linear` does."""

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        bound = 1.0 / math.sqrt(fan_in)
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)


@dataclass(frozen=True)
class Uniform:
    """U[low, high) for every parameter."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        return torch.empty(shape).uniform_(self.low, self.high, generator=generator)


@dataclass(frozen=True)
class Gaussian:
    """scale · N(0, 1) for every parameter."""

    scale: float = 0.01

    def __post_init__(self) -> None:
        if not self.scale >= 0:
            raise ValueError(f"scale={self.scale} must be at least 0")

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        return torch.empty(shape).normal_(generator=generator) * self.scale


@dataclass(frozen=True)
class Orthogonal:
    """Weights with orthonormal rows or columns times `gain`, biases zero (Saxe et al. 2014)."""

    gain: float = 1.0

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        if len(shape) < 2:
            return torch.zeros(shape)
        return torch.nn.init.orthogonal_(torch.empty(shape), self.gain, generator=generator)


@dataclass(frozen=True)
class OrthogonalScaled(Orthogonal):
    """The same with a gain of its own in the last layer: √2 before, then 0.01 for a policy and 1 for a critic.

    So most code of PPO begins, with a policy that is nearly uniform. (Engstrom et al. 2020; Huang et al. 2022.)
    """

    gain: float = math.sqrt(2.0)
    last: float = 0.01

    def last_layer(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        return Orthogonal(self.last)(shape, fan_in, generator)


@dataclass(frozen=True)
class Xavier:
    """Weights U(-b, b) with b = √(6 / (n + m)) for n inputs and m outputs, biases zero (Glorot and Bengio 2010)."""

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        if len(shape) < 2:
            return torch.zeros(shape)
        return torch.nn.init.xavier_uniform_(torch.empty(shape), generator=generator)


@dataclass(frozen=True)
class LecunNormal:
    """Weights N(0, 1/n) for n inputs, biases zero (LeCun et al. 1998)."""

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        if len(shape) < 2:
            return torch.zeros(shape)
        return torch.empty(shape).normal_(generator=generator) / math.sqrt(fan_in)


@dataclass(frozen=True)
class Zeros:
    """Every parameter zero: a uniform policy. Leaves a network with hidden layers stuck."""

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        return torch.zeros(shape)


@dataclass(frozen=True)
class Fixed:
    """The given numbers, whatever the seed: for networks whose parameters are one table of that many.

    Attributes:
        values: row after row, outputs first: `[θ_0, …, θ_{A-1}]` of a tabular network with one symbol.
    """

    values: Sequence[float]

    def __post_init__(self) -> None:
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in self.values):
            raise ValueError(f"values={list(self.values)} must be finite numbers")

    def __call__(self, shape: tuple[int, ...], fan_in: int, generator: Generator) -> Tensor:
        if len(self.values) != math.prod(shape):
            raise ValueError(
                f"values={list(self.values)} are {len(self.values)} numbers, this network has a parameter "
                f"of shape {list(shape)}, which takes {math.prod(shape)}"
            )
        return torch.tensor(list(self.values), dtype=torch.float32).reshape(shape)


def draw(
    init: Init, layout: Layout, inputs: int, generator: Generator, given: Mapping[str, Given] = MappingProxyType({})
) -> Tensor:
    """One run's initial parameters `[P]`; `inputs` is the observation's size, those that are `given` are not drawn."""
    named, fan_in = {}, inputs
    last = [name for name in layout.shapes if name.startswith("weight")][-1:]
    for name, shape in layout.shapes.items():
        if name.startswith("weight_"):
            fan_in = math.prod(shape[1:])
        make = getattr(init, "last_layer", init) if [name] == last else init
        named[name] = torch.tensor(given[name]).expand(shape) if name in given else make(shape, fan_in, generator)
    return layout.flatten(named)
