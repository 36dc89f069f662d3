"""Segments: T steps of each of a run's lanes, which go on from update to update (see `pglab.training.segments`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pglab.native.compiling import compiled
from pglab.native.draws import fold_in
from pglab.native.lanes import Kind, begins, looks, steps
from pglab.native.vector import WIDTH, at, put


def segments_player(kind: Kind) -> tuple[Any, Any]:
    """Compiled code of one kind: what begins the lanes of all runs, and what plays those of some."""
    begin, advance, look = begins(kind), steps(kind), looks(kind)
    numbers, resets = max(kind.numbers, 1), kind.resets
    uniforms = max(kind.draws, kind.steps, 1)

    @compiled("begin", *kind.parts)
    def begin_all(state, first_states, problems, constants):  # type: ignore[no-untyped-def]
        """Puts first states into the lanes of all runs, `[K, states, lanes]`."""
        scratch = np.zeros(resets + 1)
        for run in range(state.shape[0]):
            own, lanes = state[run].reshape(-1), state.shape[2]
            for lane in range(lanes):
                key = fold_in(fold_in(first_states[run], lane), 0)
                begin(own, lanes, lane, problems[run], key, key, scratch, constants)

    @compiled("segments", *kind.parts)
    def play(  # type: ignore[no-untyped-def]
        flat, sizes, free, clip, low, high, constants, horizon, stored, first_states, transitions, actions, problems,
        rows, lanes_used, length, state, time, earned, obs, action, reward, terminated, truncated, last_obs,
    ):  # fmt: skip
        """Plays `length` steps of the first `lanes_used` lanes of each run in `rows`.

        Args:
            flat, sizes, free, clip: see `pglab.native.network.forwards`; `flat` is `[K, Q]`.
            state, time, earned: of the lanes of all runs, `[K, states, lanes]` and `[K, lanes]`; they go on.
            obs, action, reward, terminated, truncated: of each step, flat, by run, lane and step.
            last_obs: the observation after a step that a time limit or the border cuts, likewise; others stay.
        """
        width, lanes = np.int64(0), state.shape[2]
        for size in sizes:
            width += size
        values = np.zeros((width + sizes[0] + free) * lanes, np.float32)
        work = np.zeros((uniforms + 3) * lanes, np.float32)
        acted, taken = np.zeros(numbers * lanes, np.float32), np.zeros(numbers * lanes, np.float32)
        gained, over = np.zeros(lanes, np.float32), np.zeros(lanes, np.bool_)
        scratch, seen = np.zeros(resets + 1), np.zeros(stored)
        acting, moving, now = np.zeros(lanes, np.uint64), np.zeros(lanes, np.uint64), np.zeros(lanes, np.int64)
        for number in range(len(rows)):
            run = rows[number]
            own, parameters = state[run].reshape(-1), flat[run]
            for lane in range(lanes):
                acting[lane], moving[lane] = fold_in(actions[run], lane), fold_in(transitions[run], lane)
            for j in range(length):
                now[:] = j
                advance(
                    parameters, sizes, free, clip, low, high, constants, own, lanes, lanes, acting, moving, now,
                    values, work, acted, taken, gained, over,
                )  # fmt: skip
                for lane in range(lanes):
                    time[run, lane] += 1
                    earned[run, lane] += gained[lane]
                    cut = time[run, lane] == horizon
                    step = (number * lanes_used + lane) * length + j
                    if lane < lanes_used:
                        for i in range(stored):
                            put(obs, step * stored + i, at(values, i * lanes + lane))
                        for i in range(numbers):
                            put(action, step * numbers + i, at(acted, i * lanes + lane))
                        reward[step], terminated[step], truncated[step] = gained[lane], over[lane], cut
                        if cut or (j == length - 1 and not over[lane]):
                            look(own, lanes, lane, seen, constants)
                            for i in range(stored):
                                last_obs[step * stored + i] = seen[i]
                    if over[lane] or cut:
                        key = fold_in(fold_in(first_states[run], lane), j + 1)
                        begin(own, lanes, lane, problems[run], key, key, scratch, constants)
                        time[run, lane], earned[run, lane] = 0, 0.0

    return begin_all, play


def filled(lanes: int) -> int:
    """The lanes that are played for so many."""
    return -(-lanes // WIDTH) * WIDTH
