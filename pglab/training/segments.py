"""Segments: every update takes some steps from each of N lanes, which go on where they stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from pglab.bits import SMALLEST, aligned
from pglab.envs.world import Replayable, World
from pglab.models.model import Policy
from pglab.training.episodes import Episodes
from pglab.training.randomness import Streams, fold_in, reset_uniforms, uniforms
from pglab.training.wave import action_uniforms


@dataclass(frozen=True)
class Segments:
    """A batch of exactly `lanes` × `steps` steps, across the ends of episodes.

    An episode that ends begins anew in its lane; one that the batch's border cuts goes on in the next
    update, and is continued by the critic here.

    Attributes:
        lanes: N, episodes played side by side.
        steps: T, of each lane in an update.
    """

    lanes: int = 4
    steps: int = 128
    episodes: ClassVar[None] = None
    fixed_steps: ClassVar[bool] = True
    bias: ClassVar[str] = "the batch's border cuts episodes, which are continued by the critic"

    def __post_init__(self) -> None:
        for key in ("lanes", "steps"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")


class PlaysSegments(Protocol):
    """The lanes of K runs; see `Lanes`."""

    def play(self, policy: Policy, parameters: Tensor, keys: Streams, plays: np.ndarray) -> Episodes: ...

    def saved(self, rows: slice) -> dict[str, Tensor]: ...

    def restore(self, rows: slice, saved: Mapping[str, Tensor]) -> None: ...


class Lanes:
    """The lanes of K runs.

    Each run's lanes are filled up to whole vector registers (see `pglab.bits`) by lanes that nobody
    looks at. Everything random in an update is a function of (seed, update, lane, step).

    Attributes:
        state: of the world in each lane, tensors `[K, C, …]`.
        time: steps of the present episode so far, `[K, C]`.
        earned: its undiscounted return so far, `[K, C]`, double precision.
    """

    def __init__(self, batch: Segments, world: World, keys: Streams) -> None:
        device = keys.actions.device
        self._replayed: Any = world.replayed() if isinstance(world, Replayable) else None
        self._batch, self._world = batch, self._replayed or world
        self._filled = aligned(batch.lanes, SMALLEST)
        # Environments that take time one by one are not filled up, but for the networks that look at them.
        self._lane = torch.arange(batch.lanes if self._replayed else self._filled, device=device)
        k = len(keys.actions)
        self.time = torch.zeros(k, len(self._lane), dtype=torch.int64, device=device)
        self.earned = torch.zeros_like(self.time, dtype=torch.float64)
        rows = torch.arange(k, device=device)[:, None].expand_as(self.time)
        self.state = self._begin(keys, rows.flatten(), self._lane.repeat(k), 0)
        self.state = tuple(part.unflatten(0, self.time.shape).clone() for part in self.state)

    def play(self, policy: Policy, parameters: Tensor, keys: Streams, plays: np.ndarray) -> Episodes:
        """The next segments of the runs where `plays` `[K]`; the lanes of the others stand still.

        Args:
            parameters: flat policy parameters, `[K, P]`.
            keys: of the coming update.
        """
        rows = torch.from_numpy(np.flatnonzero(plays)).to(parameters.device)
        with torch.inference_mode():
            log = self._played(policy, parameters, keys, rows)
        return log.episodes(rows.cpu().numpy(), self._keep(log, rows))

    def saved(self, rows: slice) -> dict[str, Tensor]:
        """Everything that the lanes of some rows go on from, by name."""
        time, earned, *state = (x[rows, : self._batch.lanes] for x in (self.time, self.earned, *self.state))
        parts = {f"state_{number}": part for number, part in enumerate(state)}
        return {"time": time, "earned": earned} | (self._replayed.saved(tuple(state)) if self._replayed else parts)

    def restore(self, rows: slice, saved: Mapping[str, Tensor]) -> None:
        """Puts the lanes of some rows where those stood that `saved` tells of.

        Raises:
            ValueError: they cannot be put there (see `pglab.envs.replayed`).
        """
        parts = [saved["time"], saved["earned"]]
        if self._replayed:
            parts += self._replayed.restored(saved, tuple(part[rows] for part in self.state))
        else:
            parts += [saved[f"state_{number}"] for number in range(len(self.state))]
        for own, new in zip((self.time, self.earned, *self.state), parts, strict=True):
            own[rows] = new[:, torch.arange(own.shape[1], device=new.device) % self._batch.lanes].to(own)

    def _played(self, policy: Policy, parameters: Tensor, keys: Streams, rows: Tensor) -> "_Log":
        batch, world, device = self._batch, self._world, parameters.device
        together = rows.repeat(2) if len(rows) == 1 else rows  # no product alone in its batch
        acting = policy.acting(parameters[together])
        transitions = fold_in(keys.transitions[rows][:, None], self._lane)
        actions = fold_in(keys.actions[together][:, None], torch.arange(self._filled, device=device))
        times = torch.arange(batch.steps, device=device)[:, None, None]
        action_uniform = action_uniforms(policy, fold_in(actions, times))
        step_uniform = uniforms(fold_in(transitions, times), world.step_draws, torch.float32)
        log = _Log(self.time[rows, : batch.lanes])
        state, time = tuple(part[rows] for part in self.state), self.time[rows]
        n = batch.lanes
        for j in range(batch.steps):
            obs = world.observe(state)
            action = acting(obs, action_uniform[j])
            step = world.step(state, policy.taken(action), step_uniform[j])
            time = time + 1
            truncated = torch.zeros_like(step.terminated) if step.truncated is None else step.truncated
            if world.horizon is not None:
                truncated = truncated | (time == world.horizon)
            log.steps.append((obs, action, step.reward, step.terminated, truncated))
            ended = step.terminated | truncated
            state = step.state
            if j + 1 == batch.steps or truncated.any():
                log.seen.append((j, world.observe(state)[:, :n]))
            if ended.any():
                run, lane = ended.nonzero(as_tuple=True)
                begun = self._begin(keys, rows[run], lane, j + 1, tuple(part[run, lane] for part in state))
                state = tuple(part.clone().index_put_((run, lane), new) for part, new in zip(state, begun, strict=True))
                time = time.masked_fill(ended, 0)
        log.state, log.time_after = state, time
        return log

    def _begin(
        self, keys: Streams, run: Tensor, lane: Tensor, step: int, ended: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, ...]:
        """First states of episodes that begin in lanes `[m]` of runs `[m]` before a step of an update.

        Args:
            ended: last states of the episodes before them; None: there were none.
        """
        m = len(run)
        filled = torch.arange(m if self._replayed else aligned(m, SMALLEST), device=run.device) % m
        first = fold_in(fold_in(keys.first_states[run], lane), torch.tensor(step, device=run.device))
        uniform = reset_uniforms(self._world, keys.problems[run][filled], first[filled])
        if self._replayed and ended:
            return self._replayed.after(ended, uniform)
        return tuple(part[:m] for part in self._world.reset(uniform))

    def _keep(self, log: "_Log", rows: Tensor) -> Tensor:
        """Has the lanes of the runs that play go on from where they are; returns what they had earned before."""
        n = self._batch.lanes
        before = self.earned[rows, :n]
        for part, new in zip(self.state, log.state, strict=True):
            part[rows] = new.to(part)
        assert log.time_after is not None
        self.time[rows] = log.time_after
        self.earned[rows, :n] = log.earned_after(before)
        return before


def lanes_in_torch(batch: Segments, world: World, keys: Streams, policy: Policy) -> PlaysSegments:
    """The lanes of K runs of any policy."""
    return Lanes(batch, world, keys)


@dataclass
class _Log:
    """The record of T steps of N lanes of R runs.

    Attributes:
        time: of each lane before the first step, `[R, N]`.
        steps: observation, action, reward, terminated and truncated of each step, `[R, C, …]`, of which N lanes count.
        seen: observations after some steps, with the step: the last one, and those that a time limit cut after.
        state, time_after: after the last step, of all lanes.
    """

    time: Tensor
    steps: list[tuple[Tensor, ...]] = field(default_factory=list)
    seen: list[tuple[int, Tensor]] = field(default_factory=list)
    state: tuple[Tensor, ...] = ()
    time_after: Tensor | None = None

    @cached_property
    def columns(self) -> tuple[Tensor, ...]:
        """The five, `[T, R, N, …]` each."""
        lanes = self.time.shape[1]
        return tuple(torch.stack(parts)[:, :, :lanes] for parts in zip(*self.steps, strict=True))

    def earned_after(self, before: Tensor) -> Tensor:
        """The undiscounted return of each lane's episode after the last step, `[R, N]`."""
        _, _, reward, terminated, truncated = self.columns
        ended = terminated | truncated
        since = ended.flip(0).to(torch.int8).cumsum(0).flip(0) == 0  # steps of the episode that goes on
        total = torch.where(since, reward, 0.0).double().sum(0)
        return total + torch.where(since[0], before, 0.0)

    def episodes(self, run: np.ndarray, earned: Tensor) -> Episodes:
        """Pieces of episodes, end to end, by run, lane and time.

        Args:
            run: the runs' rows in the bundle, `[R]`.
            earned: returns of the lanes' episodes before the first step, `[R, N]`.
        """
        obs, action, reward, *flags = self.columns

        def packed(log: Tensor) -> Tensor:
            flat = log.movedim(0, 2).flatten(0, 2)
            return torch.cat((flat, torch.zeros_like(flat[:1])))

        steps, lanes = reward.shape[0], reward.shape[2]
        terminated, truncated = (packed(log)[:-1].cpu().numpy() for log in flags)
        ended = terminated | truncated
        last = np.flatnonzero(ended | (np.arange(len(ended)) % steps == steps - 1))
        length = np.diff(last, prepend=-1)
        start = last - length + 1
        row, lane, first = start // (lanes * steps), start // steps % lanes, start % steps == 0
        before = [x.cpu().numpy()[row, lane] for x in (earned, self.time)]
        obs = packed(obs)
        last_obs = obs.new_zeros(len(last), obs.shape[-1])
        bank = torch.from_numpy(row)
        for step, seen in self.seen:
            here = np.flatnonzero(last % steps == step)
            last_obs[here] = seen[bank[here], torch.from_numpy(lane[here])]
        return Episodes(
            run=run[row],
            length=length,
            terminated=terminated[last],
            truncated=truncated[last],
            last_obs=last_obs,
            obs=obs,
            action=packed(action),
            reward=packed(reward),
            cut=~ended[last],
            earlier_return=np.where(first, before[0], 0.0),
            earlier_length=np.where(first, before[1], 0),
            lane=lane,
        )
