"""Any Gymnasium environment with one number or a vector of them as actions, through Gymnasium's own vector API."""

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box as BoxSpace
from gymnasium.spaces import Discrete as DiscreteSpace
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from torch import Tensor

from pglab.envs.classic import SOLVED
from pglab.envs.drawing import Action, Drawing, Picture, as_picture, frames_per_second, render_modes
from pglab.envs.replayed import Replayed
from pglab.envs.spaces import Box, Discrete
from pglab.envs.world import State, Step

WHOLE = {np.dtype(np.uint8): torch.uint8, np.dtype(np.int8): torch.int8}  # kept as they are
SUPPORTED = "only Discrete and Box action spaces are supported, such as those of CartPole-v1 and Pendulum-v1"


class Lane(gymnasium.Env):
    """An environment that is made when it is first needed.

    A vector environment steps all its environments together. One whose episode has ended, or that nobody waits for,
    stands still until it is reset with a seed: it must neither play on nor use up time or randomness.
    """

    def __init__(self, world: "GymnasiumWorld") -> None:
        self._make, self._env = world.make, None
        self.observation_space, self.action_space = world.spaces
        self.metadata, self.parked = world.metadata, True
        self._last: tuple[Any, bool, bool] = (nothing_in(self.observation_space), False, False)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        if seed is not None:
            self._env = self._env or self._make()
            observation, _ = self._env.reset(seed=seed, options=options)
            self.parked, self._last = False, (observation, False, False)
        return self._last[0], {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        reward = 0.0
        if not self.parked:
            assert self._env is not None
            observation, reward, terminated, truncated, _ = self._env.step(action)
            self.parked = terminated or truncated
            self._last = (observation, terminated, truncated)
        observation, terminated, truncated = self._last
        return observation, reward, terminated, truncated, {}

    def render(self) -> Any:
        return None if self._env is None else self._env.render()

    def close(self) -> None:
        if self._env is not None:
            self._env.close()


def nothing_in(space: gymnasium.Space) -> Any:
    """An observation of nothing."""
    return space.start if isinstance(space, DiscreteSpace) else np.zeros(space.shape or (), space.dtype)


class GymnasiumWorld:
    """A Gymnasium environment by id, each episode begun with a seed of its own.

    Each bank of lanes is one vector environment, so a bank that has ended is not stepped.

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
        self._banks: list[VectorEnv] = []
        self._begins: Tensor | None = None

    def prepare(self, begins: Tensor) -> None:
        self._begins = begins

    def reset(self, uniform: Tensor) -> State:
        banks, lanes = uniform.shape[:2]
        if self._banks and self._banks[0].num_envs != lanes:
            self.close()
        while len(self._banks) < banks:
            self._banks.append(SyncVectorEnv([partial(Lane, self)] * lanes, autoreset_mode=AutoresetMode.NEXT_STEP))
        seeds: Any = (uniform[..., 0] * 2**32).long().tolist()
        if self._begins is not None:
            pairs = zip(seeds, self._begins.tolist(), strict=True)
            seeds = [[seed if will else None for seed, will in zip(*bank, strict=True)] for bank in pairs]
            self._begins = None
        obs = [bank.reset(seed=seed)[0] for bank, seed in zip(self._banks, seeds, strict=False)]
        number = torch.arange(banks, device=uniform.device)
        return (number, self._tensor(obs, uniform))

    def observe(self, state: State) -> Tensor:
        return state[1]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        number, _ = state
        played = [self._banks[b].step(a) for b, a in zip(number.tolist(), self.decode(action), strict=True)]
        obs, reward, terminated, truncated, _ = zip(*played, strict=True)

        def tensor(parts: tuple[np.ndarray, ...]) -> Tensor:
            return torch.from_numpy(np.stack(parts)).to(action.device)

        state = (number, self._tensor(obs, action))
        return Step(state, tensor(reward).float(), tensor(terminated), tensor(truncated))

    def park(self, state: State, alive: Tensor) -> None:
        """Stops the lanes where `alive` is false: nobody waits for their episodes."""
        for bank, lanes in zip(state[0].tolist(), (~alive).tolist(), strict=True):
            self._banks[bank].set_attr("parked", lanes)

    def drawing(self, mode: str) -> Drawing:
        return _Drawn(self.shown({**self._kwargs, "render_mode": mode}), window=mode == "human")

    def shown(self, kwargs: dict[str, Any]) -> "GymnasiumWorld":
        """The same with other arguments of `gymnasium.make`."""
        return GymnasiumWorld(self.id, kwargs)

    def render(self) -> Any:
        """The picture that the first lane's environment shows of itself."""
        return self._banks[0].render()[0]  # type: ignore[index]

    def close(self) -> None:
        for bank in self._banks:
            bank.close()
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

    def _tensor(self, obs: Any, like: Tensor) -> Tensor:
        lanes = np.concatenate(obs)
        return self.encode(lanes).unflatten(0, (len(obs), -1)).to(like.device)


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
