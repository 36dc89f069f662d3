"""A network on an environment's observations, for many runs at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from pglab.bits import affine
from pglab.envs.spaces import Box, Space, as_space
from pglab.models.networks import encode
from pglab.models.parameters import Init, Layout, draw

Acts = Callable[[Tensor, Tensor], Tensor]  # from observations and uniforms to actions


@dataclass(frozen=True)
class Model:
    """`network` from `observation` to `outputs` numbers; its parameters are flat rows `[B, P]`.

    Attributes:
        free: parameters beside the network's that nothing is fed to, by name, with the values that they begin
            with, `[F]`. They come after the network's outputs, the same for every observation.
    """

    network: Any
    observation: Space
    outputs: int
    free: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @cached_property
    def layout(self) -> Layout:
        of_network = self.network.shapes(self.observation, self.outputs)
        return Layout(of_network | {name: (len(values),) for name, values in self.free.items()})

    @cached_property
    def fixed(self) -> Tensor | None:
        """Columns of what is no parameter, `[P]`, boolean; None where there is none."""
        buffers = getattr(self.network, "buffers", {})
        columns = {name: torch.full(shape, float(name in buffers)) for name, shape in self.layout.shapes.items()}
        return self.layout.flatten(columns).bool() if buffers else None

    @property
    def sparse(self) -> bool:
        """Tells whether the network is given whole numbers, nearly all of which are 0."""
        whole = isinstance(self.observation, Box) and self.observation.dtype == torch.int8
        return whole and getattr(self.network, "takes_sparse", False)

    @property
    def width(self) -> int:
        """Numbers of an observation that a step keeps in memory while it is computed."""
        return 1 if self.sparse else self.observation.stored

    def draw(self, init: Init, generators: list[torch.Generator], device: torch.device) -> Tensor:
        """Initial parameters of K runs, `[K, P]`, each from its own generator."""
        size, given = self.observation.size, {**getattr(self.network, "buffers", {}), **self.free}
        rows = [draw(init, self.layout, size, generator, given) for generator in generators]
        return torch.stack(rows).to(device)

    def set_buffers(self, flat: Tensor, values: Mapping[str, Tensor]) -> None:
        """Writes what is no parameter into the rows `[B, P]` of parameters, `[B, …]` by name."""
        named = self.layout.unflatten(flat)
        for name, value in values.items():
            named[name].copy_(value)

    def laid_out(self, flat: Tensor) -> dict[str, Tensor]:
        """Named parameters of rows `[B, P]` as many calls read them quickest."""
        named = self.layout.unflatten(flat)
        if not self.sparse:
            return named
        shapes = {name: part.shape[1:] for name, part in named.items()}
        read = [name for name, shape in shapes.items() if len(shape) == 2 and shape[1] == self.observation.size]
        return named | {name: named[name].mT.contiguous().mT for name in read}

    def __call__(self, parameters: dict[str, Tensor], obs: Tensor) -> Tensor:
        """Outputs `[B, n, outputs + F]` for observations `[B, n, D]` and named parameters `[B, …]`."""
        seen = obs if self.sparse else encode(self.observation, obs, getattr(self.network, "input", "unit"))
        if getattr(self.network, "takes_images", False):
            assert isinstance(self.observation, Box)
            seen = seen.unflatten(-1, self.observation.axes)
        outputs = self.network.forward(parameters, seen)
        if not self.free:
            return outputs
        return torch.cat((outputs.mT, *(_everywhere(parameters[name], obs) for name in self.free)), -2).mT


def _everywhere(free: Tensor, obs: Tensor) -> Tensor:
    """`[B, F]` beside each of n observations, `[B, F, n]`.

    For a gradient it is a layer whose only input is 1, and summed as such (see `pglab.bits`).
    """
    if not free.requires_grad:
        return free.unsqueeze(-1).expand(*free.shape, obs.shape[-2])
    return affine(free.unsqueeze(-1), torch.zeros_like(free), torch.ones_like(obs[..., :1], dtype=free.dtype).mT)


@dataclass(frozen=True)
class Policy:
    """A model under a policy head.

    Attributes:
        draws: uniforms that an action takes in an axis of their own; None: one, without such an axis.
    """

    model: Model
    head: Any
    draws: int | None = None

    @classmethod
    def of(cls, network: Any, head: Any, observation: Space, actions: Space | int) -> "Policy":
        """The policy that `head` over `network` forms where these are observed and taken.

        Raises:
            ValueError: the head does not fit the actions.
        """
        space = as_space(actions)
        width = head.width(space)
        if not isinstance(width, int):
            raise ValueError(
                f"width({space}) of {type(head).__name__} is {width!r}; it must be a whole number of outputs "
                "(the number of actions is the space's `size`)"
            )
        free = head.free(space) if hasattr(head, "free") else {}
        draws = head.draws(space) if hasattr(head, "draws") else None
        bound = head.of(space) if hasattr(head, "of") else head
        return cls(Model(network, observation, width, free), bound, draws)

    def act(self, parameters: dict[str, Tensor], obs: Tensor, uniform: Tensor) -> Tensor:
        """Actions `[B, n]` (of a Box `[B, n, A]`) for observations `[B, n, D]`.

        Args:
            uniform: `[B, n]`, or `[B, n, draws]` where the head says how many an action takes.
        """
        return self.head.sample(self.model(parameters, obs), uniform)

    def acting(self, flat: Tensor) -> Acts:
        """What takes the actions of rows `[B, P]` of parameters, call after call, for observations `[b, n, D]`.

        Uniforms are `[B, N]`, or `[B, N, draws]`, with B ≥ b and N ≥ n: their shape is the one that is computed.
        """
        weights = self.model.laid_out(flat)

        def acts(obs: Tensor, uniform: Tensor) -> Tensor:
            (runs, lanes), whole = obs.shape[:2], uniform.shape[:2]
            if (runs, lanes) == whole:
                return self.act(weights, obs, uniform)
            seen = pad(obs, (0, 0, 0, whole[1] - lanes, 0, whole[0] - runs))
            return self.act(weights, seen, uniform)[:runs, :lanes]

        return acts

    def taken(self, action: Tensor) -> Tensor:
        """The actions that the world is given, where the head's are not these themselves."""
        return self.head.taken(action) if hasattr(self.head, "taken") else action
