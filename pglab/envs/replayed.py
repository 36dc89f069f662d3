"""Gymnasium environments in lanes that go on from update to update, and after a stop as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import gymnasium
import numpy as np
import torch
from torch import Tensor

from pglab.envs.spaces import Box, Discrete
from pglab.envs.world import State, Step


class Made(Protocol):
    """A world whose lanes are environments of their own."""

    id: str
    observation: Box | Discrete
    actions: Box | Discrete
    horizon: int | None

    def make(self) -> gymnasium.Env: ...

    def encode(self, observations: Sequence[Any]) -> Tensor: ...

    def decode(self, action: Tensor) -> np.ndarray: ...


@dataclass
class _Episode:
    env: gymnasium.Env
    seed: int
    actions: list[Tensor] = field(default_factory=list)


class Replayed:
    """A world of environments that cannot be copied: an episode is a function of its seed and its actions.

    The state of a lane is the number of its episode and its last observation. What is saved of it are the
    episode's seed and actions, from which it is played again.
    """

    reset_draws: ClassVar[int] = 1
    step_draws: ClassVar[int] = 0

    def __init__(self, world: Made) -> None:
        self._world = world
        self.observation, self.actions, self.horizon = world.observation, world.actions, world.horizon
        self._playing: dict[int, _Episode] = {}
        self._idle: list[gymnasium.Env] = []
        self._begun = 0

    def reset(self, uniform: Tensor) -> State:
        """First states from uniforms `[..., 1]`, which are their seeds; environments of ended episodes serve again."""
        shape = uniform.shape[:-1]
        begun = [self._begin(seed) for seed in (uniform[..., 0] * 2**32).long().flatten().tolist()]
        numbers, observations = zip(*begun, strict=True)
        return self._state(numbers, observations, shape, uniform.device)

    def after(self, ended: State, uniform: Tensor) -> State:
        """First states of the episodes that come after others, which have ended: whichever those were."""
        return self.reset(uniform)

    def observe(self, state: State) -> Tensor:
        return state[1]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        numbers, shape = state[0].flatten().tolist(), state[0].shape
        played = [self._step(*lane) for lane in zip(numbers, action.flatten(0, len(shape) - 1).cpu(), strict=True)]
        observations, reward, terminated, truncated = zip(*played, strict=True)

        def tensor(values: Sequence[Any], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=action.device).reshape(shape)

        following = self._state(numbers, observations, shape, action.device)
        flags = (tensor(values, torch.bool) for values in (terminated, truncated))
        return Step(following, tensor(reward, torch.float32), *flags)

    def saved(self, state: State) -> dict[str, Tensor]:
        """Of each lane's episode the seed, the actions `[..., T]`, how many, and the last observation, by name."""
        episodes = [self._playing[number] for number in state[0].flatten().tolist()]
        longest = self.horizon or max(len(episode.actions) for episode in episodes)
        dtype = torch.int32 if isinstance(self.actions, Discrete) else self.actions.dtype
        actions = torch.zeros(len(episodes), longest, *self.actions.axes, dtype=dtype)
        for row, episode in zip(actions, episodes, strict=True):
            if episode.actions:
                row[: len(episode.actions)] = torch.stack(episode.actions)
        shape = state[0].shape
        return {
            "episode_seed": torch.tensor([episode.seed for episode in episodes]).reshape(shape),
            "episode_actions": actions.reshape(*shape, *actions.shape[1:]),
            "episode_steps": torch.tensor([len(episode.actions) for episode in episodes]).reshape(shape),
            "last_observation": state[1].cpu(),
        }

    def restored(self, saved: Mapping[str, Tensor], replaced: State) -> State:
        """States like those that were saved, of episodes that are played again in place of others.

        Raises:
            ValueError: an episode does not come to the observation that it came to before.
        """
        for number in replaced[0].flatten().tolist():
            self._idle.append(self._playing.pop(number).env)
        lanes = (saved[name].flatten(0, 1) for name in ("episode_seed", "episode_actions", "episode_steps"))
        again = [self._again(int(seed), actions[: int(steps)]) for seed, actions, steps in zip(*lanes, strict=True)]
        numbers, observations = zip(*again, strict=True)
        state = self._state(numbers, observations, saved["episode_seed"].shape, replaced[0].device)
        if not torch.equal(state[1].cpu(), saved["last_observation"].cpu()):
            raise ValueError(
                f"{self._world.id} is not a function of its seed and actions: an episode that was played again came to "
                "another observation, so its run cannot go on with the numbers that it would have had. Choose "
                "batch=steps, whose batches are whole episodes"
            )
        return state

    def _begin(self, seed: int) -> tuple[int, Any]:
        env = self._idle.pop() if self._idle else self._world.make()
        observation, _ = env.reset(seed=seed)
        self._begun += 1
        self._playing[self._begun] = _Episode(env, seed)
        return self._begun, observation

    def _step(self, number: int, action: Tensor) -> tuple[Any, float, bool, bool]:
        episode = self._playing[number]
        episode.actions.append(action)
        observation, reward, terminated, truncated, _ = episode.env.step(self._world.decode(action))
        if terminated or truncated:
            self._idle.append(self._playing.pop(number).env)
        return observation, float(reward), terminated, truncated

    def _again(self, seed: int, actions: Tensor) -> tuple[int, Any]:
        number, observation = self._begin(seed)
        for action in actions:
            if number not in self._playing:  # it ended before it did
                return self._begin(seed)
            observation, *_ = self._step(number, action)
        return number, observation

    def _state(self, numbers: Sequence[int], observations: Sequence[Any], shape: Any, device: torch.device) -> State:
        seen = self._world.encode(observations).to(device)
        return torch.tensor(numbers, device=device).reshape(shape), seen.reshape(*shape, seen.shape[-1])
