"""Any Gymnasium environment with one number or a vector of them as actions."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box as BoxSpace
from gymnasium.spaces import Discrete as DiscreteSpace
from torch import Tensor

from pglab.envs.classic import SOLVED
from pglab.envs.drawing import Action, Drawing, Picture, as_picture, frames_per_second, render_modes
from pglab.envs.replayed import Replayed
from pglab.envs.spaces import Box, Discrete, type_of
from pglab.envs.world import State, Step

WHOLE = {np.dtype(np.uint8): torch.uint8, np.dtype(np.int8): torch.int8}  # kept as they are
SUPPORTED = "only Discrete and Box action spaces are supported, such as those of CartPole-v1 and Pendulum-v1"


class Lane:
    """An environment that is made when it is first needed, and stands still once its episode has ended."""

    def __init__(self, make: Callable[[], gymnasium.Env]) -> None:
        self._make, self.env = make, None
        self.parked, self.flags = True, (False, False)

    def begin(self, seed: int) -> Any:
        """The first observation of an episode."""
        self.env = self.env or self._make()
        self.parked, self.flags = False, (False, False)
        return self.env.reset(seed=seed)[0]

    def step(self, action: Any) -> tuple[Any, float]:
        """Takes an action; returns observation and reward, and `flags` say whether it was terminated or truncated."""
        assert self.env is not None
        observation, reward, *flags, _ = self.env.step(action)
        self.parked, self.flags = any(flags), tuple(flags)
        return observation, float(reward)


class GymnasiumWorld:
    """A Gymnasium environment by id, each episode begun with a seed of its own.

    Each lane is an environment of its own, which is stepped only while somebody waits for its episode.

    Args:
        id: registered id, such as `Acrobot-v1` or `module:Name-v0`.
        kwargs: further arguments of `gymnasium.make`.
        max_episode_steps: cut episodes after as many steps; None: where the id says.

    Raises:
        ValueError: the environment cannot be made, or its spaces are not supported.
    """

    reset_draws = 1
    step_draws = 0
    best_source = SOLVED

    def __init__(self, id: str, kwargs: dict[str, Any] | None = None, max_episode_steps: int | None = None) -> None:
        self.id, self._kwargs = id, dict(kwargs or {})
        if max_episode_steps is not None:
            self._kwargs["max_episode_steps"] = max_episode_steps
        try:
            env = self.make()
        except Exception as error:  # an environment's own code raises what it likes
            raise ValueError(f"Gymnasium cannot make {id!r}: {error}") from error
        observed, acted = env.observation_space, env.action_space
        spec, self.spaces, self.metadata = env.spec, (observed, acted), env.metadata
        self.render_modes, self.fps = render_modes(env), frames_per_second(env)
        env.close()
        if not isinstance(acted, BoxSpace | DiscreteSpace):
            raise ValueError(f"{id} has action space {' '.join(str(acted).split())}; {SUPPORTED}")
        if not isinstance(observed, BoxSpace | DiscreteSpace):
            raise ValueError(f"{id} has observation space {observed}; only Box and Discrete are supported")
        if isinstance(acted, BoxSpace):
            low, high = (bound.flatten().tolist() for bound in (acted.low, acted.high))
            self.actions: Box | Discrete = Box(int(np.prod(acted.shape)), low, high)
        else:
            self.actions = Discrete(int(acted.n))
        self._acted = acted
        self.horizon = spec.max_episode_steps if spec else None
        self.best_return = spec.reward_threshold if spec else None
        self._first_symbol = 0
        self._image_last = False
        if isinstance(observed, BoxSpace):
            self.observation: Box | Discrete = self._observed(observed)
        else:
            self.observation = Discrete(int(observed.n))
            self._first_symbol = int(observed.start)
        self._banks: list[list[Lane]] = []
        self._begins: Tensor | None = None

    def prepare(self, begins: Tensor) -> None:
        self._begins = begins

    def reset(self, uniform: Tensor) -> State:
        banks, lanes = uniform.shape[:2]
        if self._banks and len(self._banks[0]) != lanes:
            self.close()
        while len(self._banks) < banks:
            self._banks.append([Lane(self.make) for _ in range(lanes)])
        seen = torch.zeros(banks * lanes, self.observation.stored, dtype=type_of(self.observation))
        number = torch.arange(banks)
        seeds = (uniform[..., 0] * 2**32).long().flatten().tolist()
        begins = [True] * len(seeds) if self._begins is None else self._begins.flatten().tolist()
        self._begins = None
        places = [place for place, will in enumerate(begins) if will]
        every = self._lanes(number)
        for lane in every:
            lane.parked = True
        if places:
            seen[places] = self.encode([every[place].begin(seeds[place]) for place in places])
        return number.to(uniform.device), seen.unflatten(0, (banks, lanes)).to(uniform.device)

    def observe(self, state: State) -> Tensor:
        return state[1]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        number, before = state
        device, shape = before.device, before.shape[:2]
        seen, reward = before.flatten(0, 1).cpu().clone(), torch.zeros(shape.numel())
        lanes, actions = self._lanes(number), self.decode(action.flatten(0, 1))
        places = [place for place, lane in enumerate(lanes) if not lane.parked]
        if places:
            observations, rewards = zip(*(lanes[place].step(actions[place]) for place in places), strict=True)
            seen[places], reward[places] = self.encode(observations), torch.tensor(rewards)
        flags = torch.tensor([lane.flags for lane in lanes]).T
        terminated, truncated = (flag.reshape(shape).to(device) for flag in flags)
        following = number, seen.reshape(before.shape).to(device)
        return Step(following, reward.reshape(shape).to(device), terminated, truncated)

    def park(self, state: State, alive: Tensor) -> None:
        """Stops the lanes where `alive` is false: nobody waits for their episodes."""
        for lane, lives in zip(self._lanes(state[0]), alive.flatten().tolist(), strict=True):
            lane.parked |= not lives

    def drawing(self, mode: str) -> Drawing:
        return _Drawn(self.shown({**self._kwargs, "render_mode": mode}), window=mode == "human")

    def shown(self, kwargs: dict[str, Any]) -> "GymnasiumWorld":
        """The same with other arguments of `gymnasium.make`."""
        return GymnasiumWorld(self.id, kwargs)

    def render(self) -> Any:
        """The picture that the first lane's environment shows of itself."""
        first = self._banks[0][0].env
        return None if first is None else first.render()

    def close(self) -> None:
        for lane in self._lanes(torch.arange(len(self._banks))):
            if lane.env is not None:
                lane.env.close()
        self._banks = []

    def replayed(self) -> Replayed:
        """The same for lanes that go on across batches."""
        return Replayed(self)

    def make(self) -> gymnasium.Env:
        """A single environment."""
        return gymnasium.make(self.id, **self._kwargs)

    def _observed(self, space: BoxSpace) -> Box:
        """Numbers in single precision, but images of bytes as these, their channels first."""
        axes, dtype = tuple(space.shape), WHOLE.get(space.dtype)
        if dtype is None or len(axes) not in (2, 3):
            return Box(int(np.prod(axes)))
        self._image_last = len(axes) == 3 and axes[-1] in (1, 3, 4) and axes[0] not in (1, 3, 4)
        if len(axes) == 2:
            axes = (1, *axes)
        return Box((axes[2], *axes[:2]) if self._image_last else axes, dtype=dtype)

    def encode(self, observations: Any) -> Tensor:
        """Observations of some environments, `[m, D]`."""
        stacked = np.stack(observations)
        if self._image_last:
            stacked = np.moveaxis(stacked, -1, 1)
        rows = stacked.reshape(len(stacked), -1)
        if isinstance(self.observation, Box) and not self.observation.dtype.is_floating_point:
            return torch.from_numpy(np.ascontiguousarray(rows))
        return torch.from_numpy(rows.astype(np.float32) - self._first_symbol)

    def decode(self, action: Tensor) -> np.ndarray:
        """Actions `[...]` as the environment takes them."""
        taken = action.cpu().numpy()
        if isinstance(self._acted, DiscreteSpace):
            return taken + self._acted.start
        return taken.reshape(*taken.shape[:-1], *self._acted.shape).astype(self._acted.dtype)

    def _lanes(self, banks: Tensor) -> list[Lane]:
        """All lanes of some banks."""
        return [lane for bank in banks.tolist() for lane in self._banks[bank]]


class _Drawn:
    """Environments that show themselves: those that are played are the ones that are drawn."""

    def __init__(self, world: GymnasiumWorld, window: bool) -> None:
        self.world: Any = world
        self.fps, self._window = world.fps, window

    def picture(self, state: State, action: Action) -> Picture:
        # An environment with a window draws each step as it is made.
        return None if self._window else as_picture(self.world.render())

    def close(self) -> None:
        self.world.close()
