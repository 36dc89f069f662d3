"""The lanes of `batch=segments` under `backend=native`: by compiled code where it can play them, else by torch."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.envs.world import World
from pglab.models.model import Policy
from pglab.native.lanes import Kind
from pglab.native.segments import filled, segments_player
from pglab.training.episodes import Episodes
from pglab.training.native import FOR_EVER, compiled_on, rows, why_not
from pglab.training.randomness import Streams
from pglab.training.segments import Lanes, PlaysSegments, Segments


def native_lanes(batch: Segments, world: World, keys: Streams, policy: Policy) -> PlaysSegments:
    """The lanes of K runs."""
    if why_not(world, policy, keys.actions.device):
        return Lanes(batch, world, keys)
    return NativeLanes(batch, world, keys, policy)


class NativeLanes:
    """As `pglab.training.segments.Lanes`, with the same random numbers.

    Attributes:
        state: numbers of the world's in each lane, `[K, states, C]`, double precision.
        time, earned: of the present episode so far, `[K, C]`.
    """

    def __init__(self, batch: Segments, world: World, keys: Streams, policy: Policy) -> None:
        self._batch, self._world = batch, world
        form = compiled_on(world, policy)
        begin, self._play = _player(form.kind)
        k, lanes = len(keys.actions), filled(batch.lanes)
        self.state = np.zeros((k, form.kind.states, lanes))
        self.time, self.earned = np.zeros((k, lanes), np.int64), np.zeros((k, lanes))
        begin(self.state, keys.first_states.numpy(), keys.problems.numpy(), form.constants)

    def play(self, policy: Policy, parameters: Tensor, keys: Streams, plays: np.ndarray) -> Episodes:
        """The next segments of the runs where `plays` `[K]`; the lanes of the others stand still.

        Args:
            parameters: flat policy parameters, `[K, P]`.
            keys: of the coming update.
        """
        form, run = compiled_on(self._world, policy), np.flatnonzero(plays)
        stored, numbers = self._world.observation.stored, form.kind.numbers
        lanes, length = self._batch.lanes, self._batch.steps
        total = len(run) * lanes * length
        before = self.earned[run, :lanes], self.time[run, :lanes]
        before = tuple(part.copy() for part in before)
        obs, last_obs = (np.zeros(((total + 1) * stored), np.float32) for _ in range(2))
        action = np.zeros((total + 1) * max(numbers, 1), np.float32 if numbers else np.int64)
        reward = np.zeros(total + 1, np.float32)
        terminated, truncated = (np.zeros(total, dtype=bool) for _ in range(2))
        self._play(
            rows(policy, parameters), form.sizes, form.free, form.clip, form.low, form.high, form.constants,
            self._world.horizon or FOR_EVER, stored, keys.first_states.numpy(), keys.transitions.numpy(),
            keys.actions.numpy(), keys.problems.numpy(), run, lanes, length, self.state, self.time, self.earned,
            obs, action, reward, terminated, truncated, last_obs,
        )  # fmt: skip
        ended = terminated | truncated
        last = np.flatnonzero(ended | (np.arange(total) % length == length - 1))
        pieces = np.diff(last, prepend=-1)
        start = last - pieces + 1
        row, lane, first = start // (lanes * length), start // length % lanes, start % length == 0
        taken = torch.from_numpy(action)
        return Episodes(
            run=run[row],
            length=pieces,
            terminated=terminated[last],
            truncated=truncated[last],
            last_obs=torch.from_numpy(last_obs).view(-1, stored)[torch.from_numpy(last)],
            obs=torch.from_numpy(obs).view(-1, stored),
            action=taken.view(-1, numbers) if numbers else taken,
            reward=torch.from_numpy(reward),
            cut=~ended[last],
            earlier_return=np.where(first, before[0][row, lane], 0.0),
            earlier_length=np.where(first, before[1][row, lane], 0),
            lane=lane,
        )

    def saved(self, rows: slice) -> dict[str, Tensor]:
        """Everything that the lanes of some rows go on from, by name."""
        parts = {"time": self.time, "earned": self.earned, "state": self.state}
        return {name: torch.from_numpy(part[rows].copy()) for name, part in parts.items()}

    def restore(self, rows: slice, saved: Mapping[str, Tensor]) -> None:
        """Puts the lanes of some rows where those stood that `saved` tells of."""
        for name, part in (("time", self.time), ("earned", self.earned), ("state", self.state)):
            part[rows] = saved[name].numpy()


@cache
def _player(kind: Kind) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return segments_player(kind)
