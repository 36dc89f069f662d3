"""Actions of policies, for the observations that a world shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pglab.native.compiling import compiled
from pglab.native.network import forwards
from pglab.native.vector import WIDTH, at, put


@dataclass(frozen=True)
class Acting:
    """Everything that compiled code for a policy is specialised on.

    Attributes:
        sample: a function of `pglab.native.heads`.
        draws: uniforms that an action takes in an axis of their own; 0: one, without such an axis.
        numbers: of an action that is a vector; 0: actions are counted.
        activation, counted, standardized: see `pglab.native.network.forwards`.
    """

    sample: Callable[..., Any]
    draws: int
    numbers: int
    activation: Callable[..., Any]
    counted: bool
    standardized: bool

    @property
    def parts(self) -> tuple[Any, ...]:
        """Its functions and numbers."""
        return tuple(getattr(self, one.name) for one in fields(self))


def actor(acting: Acting) -> Any:
    """Compiled code that draws actions of B policies."""
    forward = forwards(acting.activation, acting.counted, acting.standardized)
    sample, draws, numbers = acting.sample, max(acting.draws, 1), max(acting.numbers, 1)

    @compiled("act", *acting.parts)
    def act(flat, sizes, free, clip, low, high, obs, uniform, action):  # type: ignore[no-untyped-def]
        """Writes actions `[B, n, numbers]` for observations `[B, n, D]`.

        Args:
            flat, sizes, free, clip: see `pglab.native.network.forwards`; `flat` is `[B, Q]`.
            low, high: bounds of an action's numbers.
            uniform: `[B', n', draws]` with B' ≥ B and n' ≥ n.
        """
        runs, shown, stored = obs.shape
        width, lanes = np.int64(0), -(-shown // WIDTH) * WIDTH
        for size in sizes:
            width += size
        values = np.zeros((width + sizes[0] + free) * lanes, np.float32)
        work = np.zeros((draws + 3) * lanes, np.float32)
        acted, taken = np.zeros(numbers * lanes, np.float32), np.zeros(numbers * lanes, np.float32)
        for run in range(runs):
            for lane in range(shown):
                for i in range(stored):
                    put(values, i * lanes + lane, obs[run, lane, i])
                for draw in range(draws):
                    put(work, draw * lanes + lane, uniform[run, lane, draw])
            start = forward(flat[run], sizes, free, clip, values, lanes)
            outputs = sizes[len(sizes) - 1] + free
            sample(values, start, outputs, work, acted, taken, low, high, lanes, draws * lanes)
            for lane in range(shown):
                for i in range(numbers):
                    action[run, lane, i] = at(acted, i * lanes + lane)

    return act
