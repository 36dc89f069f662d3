"""Tasks of MuJoCo stepped by EnvPool (Weng et al. 2022): many environments in one call, in C++.

An environment of EnvPool is seeded when it is made, and draws the first state of each of its episodes from a generator
of its own: its n-th episode is a function of its seed, n and the actions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pglab.envs.drawing import Drawing
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.world import State, Step

Played = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # observations, rewards, terminated, truncated


class Pool:
    """Environments with a seed each, made and stepped together; each call names those that it is about.

    It calls what EnvPool's `reset` and `step` call, as these take as long around a step as a step takes.
    """

    def __init__(self, id: str, seeds: Sequence[int], horizon: int) -> None:
        import envpool  # pyright: ignore[reportMissingImports]

        given = {"num_envs": len(seeds), "env_seed": list(seeds), "max_episode_steps": horizon}
        self._pool = envpool.make_gymnasium(id, num_threads=1, **given)
        self._columns = [self._pool._state_keys.index(name) for name in ("obs", "reward", "done", "trunc")]

    def begin(self, which: np.ndarray) -> np.ndarray:
        """First observations of the next episodes of some, `[m, D]`."""
        self._pool._reset(which.astype(np.int32))
        return self._received()[0]

    def step(self, which: np.ndarray, actions: np.ndarray) -> Played:
        """One step of some, with actions `[m, A]`."""
        chosen = which.astype(np.int32)
        self._pool._send([chosen, chosen, actions.astype(np.float64)])
        obs, reward, done, truncated = self._received()
        return obs, reward, done & ~truncated, truncated

    def _received(self) -> list[np.ndarray]:
        received = self._pool._recv()
        return [received[column] for column in self._columns]


class PooledWorld:
    """A task whose lanes are environments of EnvPool: each episode is the first of an environment of its own.

    Gymnasium's own environment says its spaces, and draws it.

    Args:
        plain: that environment, with a limit of steps.
    """

    reset_draws: ClassVar[int] = 1
    step_draws: ClassVar[int] = 0

    def __init__(self, plain: GymnasiumWorld) -> None:
        assert plain.horizon is not None
        self._plain, self._horizon = plain, plain.horizon
        self.id, self.horizon, self.render_modes = plain.id, plain.horizon, plain.render_modes
        self.observation, self.actions = plain.observation, plain.actions
        self.best_return, self.best_source = plain.best_return, plain.best_source

    def reset(self, uniform: Tensor) -> State:
        """First states from uniforms `[B, C, 1]`, which are the seeds."""
        banks, self._lanes = uniform.shape[:2]
        self._pool = Pool(self.id, seeds_of(uniform), self._horizon)
        every = np.arange(banks * self._lanes)
        self._seen, self._still = self._pool.begin(every), np.zeros(len(every), dtype=bool)
        self._flags = np.zeros((2, len(every)), dtype=bool)
        return torch.arange(banks, device=uniform.device), tensor(self._seen, uniform).unflatten(0, uniform.shape[:2])

    def observe(self, state: State) -> Tensor:
        return state[1]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        lanes = self._of_banks(state[0])
        going = np.flatnonzero(~self._still[lanes])
        reward = np.zeros(len(lanes))
        if len(going):
            moved = lanes[going]
            actions = action.flatten(0, 1).cpu().numpy()[going]
            self._seen[moved], reward[going], *self._flags[:, moved] = self._pool.step(moved, actions)
            self._still[moved] = self._flags[:, moved].any(0)
        shape = action.shape[:2]
        terminated, truncated = (torch.from_numpy(flags[lanes]).to(action.device) for flags in self._flags)
        following = state[0], tensor(self._seen[lanes], action).unflatten(0, shape)
        earned = tensor(reward, action).reshape(shape)
        return Step(following, earned, terminated.reshape(shape), truncated.reshape(shape))

    def park(self, state: State, alive: Tensor) -> None:
        """Stops the lanes where `alive` is false: nobody waits for their episodes."""
        self._still[self._of_banks(state[0])] |= ~alive.flatten().cpu().numpy()

    def drawing(self, mode: str) -> Drawing:
        """Pictures of Gymnasium's own environment."""
        return self._plain.drawing(mode)

    def replayed(self) -> "PooledLanes":
        """The same for lanes that go on across batches."""
        return PooledLanes(self)

    def _of_banks(self, numbers: Tensor) -> np.ndarray:
        return (numbers.cpu().numpy()[:, None] * self._lanes + np.arange(self._lanes)).flatten()


class PooledLanes:
    """A task in lanes that go on from update to update: each is an environment of EnvPool, and plays its episodes.

    The state of a lane is its number and its last observation. What is saved of it are its seed, the number of its
    episode and the actions in that, from which it is played again.
    """

    reset_draws: ClassVar[int] = 1
    step_draws: ClassVar[int] = 0

    def __init__(self, world: PooledWorld) -> None:
        self._world = world
        self.observation, self.actions, self.horizon = world.observation, world.actions, world.horizon
        self._pools: list[Pool] = []
        # Of every lane its pool, its place there, its seed, the number of its episode, and its steps and actions.
        self._pool, self._place, self._seed, self._episode, self._steps = np.zeros((5, 0), dtype=np.int64)
        self._actions = np.zeros((0, world.horizon, *world.actions.axes), dtype=np.float32)

    def reset(self, uniform: Tensor) -> State:
        """First states of new lanes from uniforms `[..., 1]`, which are the lanes' seeds."""
        numbers = self._opened(seeds_of(uniform))
        return self._state(numbers, self._begun(numbers), uniform.shape[:-1], uniform)

    def after(self, ended: State, uniform: Tensor) -> State:
        """First states of the episodes that come in lanes whose last one ended: each lane draws its own."""
        numbers = ended[0].flatten().cpu().numpy()
        return self._state(numbers, self._begun(numbers), ended[0].shape, ended[1])

    def observe(self, state: State) -> Tensor:
        return state[1]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        shape = state[0].shape
        numbers = state[0].flatten().cpu().numpy()
        actions = action.flatten(0, len(shape) - 1).cpu().numpy()
        seen, reward, terminated, truncated = self._stepped(numbers, actions)
        flags = (torch.from_numpy(flag).to(action.device).reshape(shape) for flag in (terminated, truncated))
        return Step(self._state(numbers, seen, shape, action), tensor(reward, action).reshape(shape), *flags)

    def saved(self, state: State) -> dict[str, Tensor]:
        """Of each lane its seed, the number of its episode, the actions in that `[..., T, A]`, how many, and what it
        shows, by name."""
        numbers = state[0].cpu().numpy()
        kept = {
            "lane_seed": self._seed,
            "lane_episode": self._episode,
            "episode_actions": self._actions,
            "episode_steps": self._steps,
        }
        found = {name: torch.from_numpy(of_lanes[numbers]) for name, of_lanes in kept.items()}
        return found | {"last_observation": state[1].cpu()}

    def restored(self, saved: Mapping[str, Tensor], replaced: State) -> State:
        """States like those that were saved, of lanes that are played again in place of others.

        Raises:
            ValueError: a lane does not come to the observation that it came to before.
        """
        shape = saved["lane_seed"].shape
        numbers = self._opened(saved["lane_seed"].flatten().tolist())
        episode, steps = (saved[name].flatten().numpy() for name in ("lane_episode", "episode_steps"))
        actions = saved["episode_actions"].flatten(0, len(shape) - 1).numpy()
        seen = self._begun(numbers)
        for number in range(2, episode.max() + 1):
            there = episode >= number
            seen[there] = self._begun(numbers[there])
        for t in range(steps.max()):
            there = steps > t
            seen[there] = self._stepped(numbers[there], actions[there, t])[0]
        state = self._state(numbers, seen, shape, replaced[1])
        if not torch.equal(state[1].cpu(), saved["last_observation"].cpu()):
            raise ValueError(
                f"EnvPool's {self._world.id} came to another observation when it was played again, so its run cannot "
                "go on with the numbers that it would have had; env.backend=gymnasium trains it anew"
            )
        return state

    def _opened(self, seeds: list[int]) -> np.ndarray:
        """The numbers of new lanes with these seeds."""
        first, new = len(self._seed), len(seeds)
        self._pools.append(Pool(self._world.id, seeds, self._world.horizon))
        self._pool = np.append(self._pool, np.full(new, len(self._pools) - 1))
        self._place, self._seed = np.append(self._place, np.arange(new)), np.append(self._seed, seeds)
        self._episode, self._steps = (
            np.append(of_lanes, np.zeros(new, int)) for of_lanes in (self._episode, self._steps)
        )
        self._actions = np.append(self._actions, np.zeros((new, *self._actions.shape[1:]), dtype=np.float32), 0)
        return np.arange(first, first + new)

    def _begun(self, numbers: np.ndarray) -> np.ndarray:
        """The first observations of the next episodes of lanes, `[m, D]`."""
        self._episode[numbers] += 1
        self._steps[numbers] = 0
        parts = [(there, pool.begin(self._place[numbers[there]])) for pool, there in self._by_pool(numbers)]
        return _joined(parts, len(numbers))

    def _stepped(self, numbers: np.ndarray, actions: np.ndarray) -> Played:
        self._actions[numbers, self._steps[numbers]] = actions
        self._steps[numbers] += 1
        pools = self._by_pool(numbers)
        if len(pools) == 1:
            return pools[0][0].step(self._place[numbers], actions)
        parts = [(there, pool.step(self._place[numbers[there]], actions[there])) for pool, there in pools]
        obs, reward, terminated, truncated = (
            _joined([(there, played[column]) for there, played in parts], len(numbers)) for column in range(4)
        )
        return obs, reward, terminated, truncated

    def _by_pool(self, numbers: np.ndarray) -> list[tuple[Pool, np.ndarray | slice]]:
        """The pools of lanes, each with the places of its own among them."""
        pools = self._pool[numbers]
        if (pools == pools[0]).all():
            return [(self._pools[pools[0]], slice(None))]
        return [(self._pools[pool], np.flatnonzero(pools == pool)) for pool in np.unique(pools)]

    def _state(self, numbers: np.ndarray, seen: np.ndarray, shape: Any, like: Tensor) -> State:
        return torch.from_numpy(numbers).to(like.device).reshape(shape), tensor(seen, like).reshape(*shape, -1)


def seeds_of(uniform: Tensor) -> list[int]:
    """Seeds of 31 bits, which EnvPool takes, from uniforms."""
    return (uniform * 2**31).long().flatten().tolist()


def tensor(array: np.ndarray, like: Tensor) -> Tensor:
    """In single precision, where a tensor is."""
    return torch.from_numpy(array.astype(np.float32)).to(like.device)


def _joined(parts: Sequence[tuple[np.ndarray | slice, np.ndarray]], size: int) -> np.ndarray:
    """One array of parts, by their places in it."""
    if len(parts) == 1:
        return parts[0][1]
    whole = np.empty((size, *parts[0][1].shape[1:]), dtype=parts[0][1].dtype)
    for places, part in parts:
        whole[places] = part
    return whole
