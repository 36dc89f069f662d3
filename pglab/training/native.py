"""The player of `backend=native`: whole episodes by compiled code, where it can play them, and by torch elsewhere."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.gaussian import Gaussian, StateGaussian, TanhGaussian
from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid, Softmax
from pglab.envs.spaces import Discrete, type_of
from pglab.envs.world import World
from pglab.models.model import Acts, Policy
from pglab.models.native import NativeMLP
from pglab.models.networks import MLP, Linear, Normalized, Tabular
from pglab.native import episodes as kernels
from pglab.native.acting import Acting, actor
from pglab.native.heads import sample_clipped, sample_normal, sample_sigmoid, sample_softmax, sample_squashed
from pglab.native.lanes import Kind
from pglab.native.network import ACTIVATIONS
from pglab.native.vector import WIDTH
from pglab.native.world import Constants
from pglab.training.episodes import Episodes
from pglab.training.randomness import Streams
from pglab.training.rollout import Player, Target

MOST_LANES = 64  # in which a run is played
UNKNOWN_LENGTH = 100.0  # of episodes of which nothing is known
FOR_EVER = np.iinfo(np.int64).max
SURE = 1.3  # room for each step that is expected


@dataclass(frozen=True)
class Compiled:
    """A policy, alone or on a world, in the form that compiled code takes.

    Attributes:
        kind: what the code is specialised on; with a world it is a `Kind`.
        sizes, free, clip: see `pglab.native.network.forwards`.
        low, high: bounds of an action's numbers.
        constants: of the world.
    """

    kind: Any
    sizes: np.ndarray
    free: int
    clip: float
    low: np.ndarray
    high: np.ndarray
    constants: Constants = ()


def why_not(world: World, policy: Policy, device: torch.device) -> str | None:
    """Why a policy on a world is not played by compiled code; None: it is."""
    if not hasattr(world, "native"):
        return f"{type(world).__name__} has no native form"
    return why_not_acting(policy, device)


def why_not_acting(policy: Policy, device: torch.device) -> str | None:
    """Why compiled code does not take a policy's actions; None: it does."""
    if device.type != "cpu":
        return f"compiled code is for device=cpu, not {device}"
    network = policy.model.network
    inner = network.network if isinstance(network, Normalized) else network
    if type(inner) not in (MLP, NativeMLP, Linear, Tabular):
        return f"the network {type(inner).__name__} has no native form"
    if type_of(policy.model.observation) != torch.float32:
        return "observations of whole numbers have no native form"
    if type(policy.head) not in (Softmax, Sigmoid, ActionBlindSigmoid, Gaussian, StateGaussian, TanhGaussian):
        return f"the head {type(policy.head).__name__} has no native form"
    return None


def compiled(policy: Policy) -> Compiled:
    """The form of a policy that `why_not_acting` has nothing against."""
    model, space = policy.model, getattr(policy.head, "space", None)
    network, clip = model.network, 0.0
    if isinstance(network, Normalized):
        network, clip = network.network, float(network.clip)
    hidden = tuple(network.sizes) if isinstance(network, MLP) else ()
    low, high = (np.array(x, dtype=np.float32) for x in (space.bounds if space else ([0.0], [0.0])))
    return Compiled(
        kind=Acting(
            sample=_sample(policy.head),
            draws=policy.draws or 0,
            numbers=space.size if space else 0,
            activation=ACTIVATIONS[network.activation if hidden else "relu"],
            counted=isinstance(model.observation, Discrete),
            standardized=clip > 0,
        ),
        sizes=np.array([model.observation.size, *hidden, model.outputs]),
        free=sum(len(values) for values in model.free.values()),
        clip=clip,
        low=low,
        high=high,
    )


def compiled_on(world: Any, policy: Policy) -> Compiled:
    """The form of a policy on a world that `why_not` has nothing against."""
    form, native = compiled(policy), world.native()
    kind = Kind(
        **vars(form.kind),
        reset=native.reset,
        observe=native.observe,
        step=native.step,
        states=native.states,
        resets=world.reset_draws,
        steps=world.step_draws,
        problems=getattr(world, "problem_draws", 0),
        prompts=getattr(world, "prompt_draws", 0),
    )
    return replace(form, kind=kind, constants=native.constants)


def _sample(head: Any) -> Callable[..., Any]:
    if isinstance(head, Softmax):
        return sample_softmax
    if isinstance(head, Sigmoid):
        return sample_sigmoid
    if isinstance(head, TanhGaussian):
        return sample_squashed
    return sample_normal if head.clip == "none" else sample_clipped


def rows(policy: Policy, parameters: Tensor) -> np.ndarray:
    """Parameters `[K, P]` as `pglab.native.network.forward` takes them, `[K, Q]`."""
    layout = policy.model.layout
    if "weight" not in layout.shapes:
        return parameters.numpy()
    named = layout.unflatten(parameters)
    weight = named.pop("weight")
    tabular = weight.shape[-1] == policy.model.observation.size
    bias = torch.zeros_like(weight[..., 0]) if tabular else weight[..., 0]
    inner = weight if tabular else weight[..., 1:]
    parts = [inner.flatten(-2), bias, *(part.flatten(1) for part in named.values())]
    return torch.cat(parts, -1).contiguous().numpy()


def parameters_of(policy: Policy, native: np.ndarray) -> Tensor:
    """Parameters `[K, P]` from the form that `rows` gives, `[K, Q]`; zeros in their padding."""
    layout, flat = policy.model.layout, torch.from_numpy(native)
    if "weight" not in layout.shapes:
        return flat
    outputs, inputs = policy.model.outputs, policy.model.observation.size
    weight = flat[:, : outputs * inputs].unflatten(1, (outputs, inputs))
    bias = flat[:, outputs * inputs : outputs * (inputs + 1)]
    whole = weight if layout.shapes["weight"][1] == inputs else torch.cat((bias[..., None], weight), -1)
    rest, place = {"weight": whole}, outputs * (inputs + 1)
    for name, shape in layout.shapes.items():
        if name != "weight":
            size = math.prod(shape)
            rest[name] = flat[:, place : place + size].unflatten(1, shape)
            place += size
    return layout.flatten(rest)


@dataclass(frozen=True)
class NativePolicy(Policy):
    """A policy whose actions compiled code takes, where there is such code; elsewhere torch does.

    It takes those that torch takes, but where a uniform lies within rounding of a border.
    """

    def acting(self, flat: Tensor) -> Acts:
        if flat.dtype != torch.float32 or why_not_acting(self, flat.device):
            return super().acting(flat)
        form, native = compiled(self), rows(self, flat)
        act, numbers = _actor(form.kind), form.kind.numbers

        def acts(obs: Tensor, uniform: Tensor) -> Tensor:
            shape = (*obs.shape[:2], max(numbers, 1))
            action = np.empty(shape, np.float32 if numbers else np.int64)
            drawn = uniform if self.draws else uniform[..., None]
            act(
                native, form.sizes, form.free, form.clip, form.low, form.high,
                obs.contiguous().numpy(), drawn.contiguous().numpy(), action,
            )  # fmt: skip
            return torch.from_numpy(action if numbers else action[..., 0])

        return acts


@cache
def _actor(acting: Acting) -> Callable[..., Any]:
    return actor(acting)


@cache
def _player(kind: Kind) -> Callable[..., Any]:
    return kernels.episodes_player(kind)


@dataclass(frozen=True)
class Native:
    """Plays run after run, each in lanes that go on to the next episode as soon as they are free.

    Attributes:
        otherwise: plays what has no native form.
    """

    otherwise: Player

    def __call__(
        self,
        world: World,
        policy: Policy,
        parameters: Tensor,
        streams: Streams,
        target: Target,
        expected_length: np.ndarray,
    ) -> Episodes:
        if not isinstance(policy, Policy) or why_not(world, policy, parameters.device):
            return self.otherwise(world, policy, parameters, streams, target, expected_length)
        return play_natively(world, policy, parameters, streams, target, expected_length)


def play_natively(
    world: World, policy: Policy, parameters: Tensor, streams: Streams, target: Target, expected_length: np.ndarray
) -> Episodes:
    """The batches that a `Player` is asked for, of a policy on a world that `why_not` has nothing against."""
    form = compiled_on(world, policy)
    play = _player(form.kind)
    stored, numbers = world.observation.stored, max(form.kind.numbers, 1)
    lanes, capacity, steps = _sizes(world, target, expected_length)
    streams_of_log, row = int(lanes.max()), stored + numbers + 1
    # An episode has a step at least. Memory that is not written costs nothing.
    episodes = int(np.maximum(target.steps, target.episodes).sum()) + 1
    result = _Result(episodes, steps, stored, numbers, form.kind.numbers > 0)
    flat = rows(policy, parameters)
    keys = tuple(key.numpy() for key in (streams.first_states, streams.transitions, streams.actions, streams.problems))
    horizon = FOR_EVER if world.horizon is None else world.horizon
    run, episodes, before = 0, 0, 0
    while True:
        log = np.empty(streams_of_log * capacity * row, np.float32)
        how, run, episodes, before = play(
            flat, form.sizes, form.free, form.clip, form.low, form.high,
            form.constants, horizon, target.group, stored, *keys, target.steps, target.episodes,
            lanes, log, streams_of_log, run, episodes, before, *result.arrays,
        )  # fmt: skip
        if how == kernels.PLAYED:
            return result.episodes(episodes, before, form.kind.numbers)
        if how == kernels.FULL_LOG:
            capacity *= 2
        else:
            result.grow()


def _sizes(world: World, target: Target, expected_length: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The lanes of each run, `[K]`, steps in a lane's log, and steps in all batches: guesses, but for the lanes."""
    longest = np.inf if world.horizon is None else float(world.horizon)
    length = np.minimum(np.where(np.isnan(expected_length), UNKNOWN_LENGTH, expected_length), longest)
    count = np.maximum(target.steps / np.maximum(length, 1.0), target.episodes)
    lanes = np.clip(-(-count.astype(np.int64) // WIDTH) * WIDTH, WIDTH, MOST_LANES)
    steps = np.maximum(target.steps + np.minimum(longest, UNKNOWN_LENGTH), target.episodes * length)
    capacity = (steps / lanes).max() + min(longest, UNKNOWN_LENGTH)
    return lanes, int(SURE * capacity) + 3, int(SURE * steps.sum()) + 1


class _Result:
    """Room for episodes, which compiled code fills."""

    def __init__(self, episodes: int, steps: int, stored: int, numbers: int, vector: bool) -> None:
        kind = np.float32 if vector else np.int64
        self._stored, self._numbers = stored, numbers
        self.arrays = (
            np.empty(episodes, np.int64),
            np.empty(episodes, np.int64),
            np.empty(episodes, np.int8),
            np.empty(episodes * stored, np.float32),
            np.empty((steps + 1) * stored, np.float32),
            np.empty((steps + 1) * numbers, kind),
            np.empty(steps + 1, np.float32),
        )

    def grow(self) -> None:
        """Doubles it."""
        self.arrays = tuple(np.concatenate((array, np.empty_like(array))) for array in self.arrays)

    def episodes(self, count: int, steps: int, numbers: int) -> Episodes:
        run, length, ended, last_obs, obs, action, reward = self.arrays
        for array, width in ((obs, self._stored), (action, self._numbers), (reward, 1)):
            array[steps * width : (steps + 1) * width] = 0  # the entry for padding
        taken = torch.from_numpy(action[: (steps + 1) * self._numbers])
        return Episodes(
            run=run[:count],
            length=length[:count],
            terminated=np.isin(ended[:count], (kernels.TERMINATED, kernels.BOTH)),
            truncated=np.isin(ended[:count], (kernels.TRUNCATED, kernels.BOTH)),
            last_obs=torch.from_numpy(last_obs[: count * self._stored]).view(count, self._stored),
            obs=torch.from_numpy(obs[: (steps + 1) * self._stored]).view(-1, self._stored),
            action=taken.view(-1, self._numbers) if numbers else taken,
            reward=torch.from_numpy(reward[: steps + 1]),
        )
