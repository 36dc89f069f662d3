"""Finite Markov decision processes, given by their tables, as worlds."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor

from pglab.envs.drawing import Action, Drawing, Twin
from pglab.envs.spaces import Discrete
from pglab.envs.world import State, Step
from pglab.native.world import NativeWorld


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """A finite MDP played from its tables.

    The first state is the prompt of an episode (see `pglab.envs.world.Prompted`).

    Attributes:
        transition: P(s'|s, a), `[S, A, S]`, each row a distribution.
        reward: r(s, a, s'), `[S, A, S]`.
        start: distribution of the first state, `[S]`.
        terminal: states that end the episode when entered, `[S]`, boolean.
        horizon: steps after which an episode is truncated, or None.
        symbol: what the agent sees of each state, `[S]` integers; by default the state itself.
            Several states with one symbol look the same to the policy.
        twin: the Gymnasium environment that these tables are from, which draws their states.
    """

    transition: np.ndarray
    reward: np.ndarray
    start: np.ndarray
    terminal: np.ndarray
    horizon: int | None = None
    symbol: np.ndarray | None = None
    twin: Twin | None = None

    reset_draws: ClassVar[int] = 1
    prompt_draws: ClassVar[int] = 1
    step_draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        states, actions = self.transition.shape[:2]
        if self.transition.shape != (states, actions, states) or self.reward.shape != self.transition.shape:
            raise ValueError(
                f"transition {self.transition.shape} and reward {self.reward.shape} must both be [S, A, S]"
            )
        if self.start.shape != (states,) or self.terminal.shape != (states,):
            raise ValueError(f"start {self.start.shape} and terminal {self.terminal.shape} must be [{states}]")
        for name, rows in (("transition", self.transition), ("start", self.start)):
            if (rows < 0).any() or not np.allclose(rows.sum(-1), 1.0, rtol=0, atol=1e-9):
                raise ValueError(f"every row of {name} must be a distribution: {_first_fault(rows)}")
        if self.horizon is not None and self.horizon < 1:
            raise ValueError(f"horizon={self.horizon} must be at least 1 (or null for none)")

    def check_ends(self) -> None:
        """Raises ValueError where an episode may go on for ever whatever the policy does.

        From every state that can be reached some sequence of actions must lead to a terminal
        one, so that a policy that tries every action ends its episodes; a horizon ends them all.
        """
        if self.horizon is not None:
            return
        link = np.any(self.transition > 0, axis=1)
        reached = _closure(self.start > 0, np.where(self.terminal[:, None], False, link))
        ending = _closure(self.terminal, link.T)
        if (reached & ~ending).any():
            state = int(np.flatnonzero(reached & ~ending)[0])
            raise ValueError(
                f"an episode that comes to state {state} never ends, as no action leads from there to a terminal "
                "state: set a horizon"
            )

    @property
    def observation(self) -> Discrete:
        symbols = len(self.transition) if self.symbol is None else int(self.symbol.max()) + 1
        return Discrete(symbols)

    @property
    def actions(self) -> Discrete:
        return Discrete(self.transition.shape[1])

    @cached_property
    def _tables(self) -> dict[str, Tensor]:
        # Only the possible successors of each (s, a), padded to the largest number of them:
        # sampling then costs that many comparisons, not S.
        most = int((self.transition > 0).sum(-1).max())
        successor = np.argsort(self.transition <= 0, axis=-1, kind="stable")[..., :most]
        probability = np.take_along_axis(self.transition, successor, -1)
        symbol = np.arange(len(self.transition)) if self.symbol is None else self.symbol
        return {
            "successor": torch.tensor(successor),
            "cumulative": _cumulative(probability),
            "reward": torch.tensor(np.take_along_axis(self.reward, successor, -1)).float(),
            "start": _cumulative(self.start),
            "terminal": torch.tensor(self.terminal),
            "symbol": torch.tensor(symbol).float(),
        }

    @property
    def render_modes(self) -> tuple[str, ...]:
        return () if self.twin is None else self.twin.render_modes

    def drawing(self, mode: str) -> Drawing:
        if self.twin is None:
            raise ValueError("tables alone have no picture; those of a Gymnasium environment do")
        return self.twin.drawing(self, mode)

    def native(self) -> NativeWorld:
        from pglab.native import worlds  # needs numba, which only backend=native asks for

        return worlds.finite({name: table.numpy(force=True) for name, table in self._tables.items()})

    def reset(self, uniform: Tensor) -> State:
        return ((uniform >= self._on(uniform, "start")).sum(-1),)

    def observe(self, state: State) -> Tensor:
        return self._on(state[0], "symbol")[state[0]][..., None]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        chosen = (state[0], action)
        branch = (uniform >= self._on(uniform, "cumulative")[chosen]).sum(-1)
        following = self._on(uniform, "successor")[(*chosen, branch)]
        reward = self._on(uniform, "reward")[(*chosen, branch)]
        return Step((following,), reward, self._on(uniform, "terminal")[following])

    def _on(self, like: Tensor, name: str) -> Tensor:
        if self._tables[name].device != like.device:
            self._tables[name] = self._tables[name].to(like.device)
        return self._tables[name]


def _first_fault(rows: np.ndarray) -> str:
    """Names the first row that is no distribution, and why."""
    row = np.argwhere((rows < 0).any(-1) | ~(np.abs(rows.sum(-1) - 1.0) <= 1e-9))[0]
    at = f"[{', '.join(str(int(i)) for i in row)}] " if len(row) else ""
    return (
        f"row {at}holds {rows[tuple(row)].min():.6g} at the least and sums to {rows[tuple(row)].sum():.10g}, not to 1"
    )


def _closure(members: np.ndarray, link: np.ndarray) -> np.ndarray:
    """Members and everything that links `[S, S]` lead to from them, `[S]`, boolean."""
    more = np.logical_or(members, np.any(link[members], axis=0))
    return members if np.array_equal(more, members) else _closure(more, link)


def _cumulative(probability: np.ndarray) -> Tensor:
    """Upper ends of the intervals of [0, 1) that belong to all but the last entry with p > 0."""
    cumulative = np.cumsum(probability, axis=-1)
    possible_later = np.cumsum(probability[..., ::-1], axis=-1)[..., ::-1] - probability > 0
    return torch.tensor(np.where(possible_later, cumulative, 2.0)[..., :-1])


def corridor(horizon: int | None = 20_000) -> FiniteMDP:
    """Short corridor with switched actions (Sutton and Barto 2018, Example 13.1).

    States 0, 1, 2 and the exit; actions left and right, swapped in state 1; reward -1 on every
    step; every state looks the same.
    """
    transition = np.zeros((4, 2, 4))
    for state, left, right in ((0, 0, 1), (1, 2, 0), (2, 1, 3), (3, 3, 3)):
        transition[state, 0, left] = transition[state, 1, right] = 1.0
    return FiniteMDP(
        transition,
        reward=np.full((4, 2, 4), -1.0),
        start=np.eye(4)[0],
        terminal=np.eye(4)[3] == 1,
        horizon=horizon,
        symbol=np.zeros(4, dtype=np.int64),
    )


def frozen_lake(map_name: str = "4x4", is_slippery: bool = True, horizon: int | None = 100) -> FiniteMDP:
    """Gymnasium's FrozenLake from its own transition table; 100 steps as `FrozenLake-v1`."""
    if map_name not in ("4x4", "8x8"):
        raise ValueError(f"map_name={map_name!r} is not one of '4x4', '8x8'")
    return from_gymnasium("FrozenLake-v1", {"map_name": map_name, "is_slippery": is_slippery}, horizon)


def from_gymnasium(id: str, kwargs: dict[str, Any], horizon: int | None = None) -> FiniteMDP:
    """A Gymnasium environment that publishes its table `P` and `initial_state_distrib`, and draws its states."""
    inner: Any = gymnasium.make(id, **kwargs).unwrapped
    start = np.asarray(inner.initial_state_distrib, dtype=float)
    return from_gymnasium_table(inner.P, start, horizon, Twin(id, _put, kwargs))


def from_gymnasium_table(
    table: dict, start: np.ndarray, horizon: int | None = None, twin: Twin | None = None
) -> FiniteMDP:
    """A finite MDP from Gymnasium's `env.P[s][a] = [(p, s', r, terminated), …]`.

    Entries for the same s' add up in probability; their reward is the mean.
    """
    states, actions = len(table), len(table[0])
    transition = np.zeros((states, actions, states))
    reward = np.zeros_like(transition)
    terminal = np.zeros(states, dtype=bool)
    for state, by_action in table.items():
        for action, entries in by_action.items():
            for probability, following, gain, terminated in entries:
                transition[state, action, following] += probability
                reward[state, action, following] += probability * gain
                terminal[following] |= terminated
    reward /= np.where(transition > 0, transition, 1.0)
    return FiniteMDP(transition, reward, np.asarray(start, dtype=float), terminal, horizon, twin=twin)


def _put(env: Any, state: State, action: Action) -> None:
    env.s, env.lastaction = int(state[0]), action
