"""A network on an environment's observations, for many runs at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pglab.envs.spaces import Space
from pglab.models.networks import encode
from pglab.models.parameters import Init, Layout, draw


@dataclass(frozen=True)
class Model:
    """`network` from `observation` to `outputs` numbers; its parameters are flat rows `[B, P]`."""

    network: Any
    observation: Space
    outputs: int

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.network.shapes(self.observation, self.outputs))

    def draw(self, init: Init, generators: list[torch.Generator], device: torch.device) -> Tensor:
        """Initial parameters of K runs, `[K, P]`, each from its own generator."""
        size, buffers = self.observation.size, getattr(self.network, "buffers", {})
        rows = [draw(init, self.layout, size, generator, buffers) for generator in generators]
        return torch.stack(rows).to(device)

    def set_buffers(self, flat: Tensor, values: Mapping[str, Tensor]) -> None:
        """Writes what is no parameter into the rows `[B, P]` of parameters, `[B, …]` by name."""
        named = self.layout.unflatten(flat)
        for name, value in values.items():
            named[name].copy_(value)

    def __call__(self, parameters: dict[str, Tensor], obs: Tensor) -> Tensor:
        """Outputs `[B, n, outputs]` for observations `[B, n, D]` and named parameters `[B, …]`."""
        return self.network.forward(parameters, encode(self.observation, obs))


@dataclass(frozen=True)
class Policy:
    """A model under a policy head."""

    model: Model
    head: Any

    @property
    def draws(self) -> int:
        """Uniforms that an action takes."""
        return getattr(self.head, "draws", 1)

    def act(self, parameters: dict[str, Tensor], obs: Tensor, uniform: Tensor) -> Tensor:
        """Actions `[B, n]` for observations `[B, n, D]` from uniforms `[B, n]`, `[B, n, draws]` where it takes more."""
        return self.head.sample(self.model(parameters, obs), uniform)
