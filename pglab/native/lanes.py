"""A step of many lanes, and the beginning of an episode in one, for one world under one kind of policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba.extending import register_jitable

from pglab.native.acting import Acting
from pglab.native.compiling import specialized
from pglab.native.draws import fine_uniform, fold_in, uniform
from pglab.native.network import forwards
from pglab.native.vector import at, load, put, store


@dataclass(frozen=True)
class Kind(Acting):
    """Everything that compiled code for a policy on a world is specialised on.

    Attributes:
        reset, observe, step, states: see `pglab.native.world.NativeWorld`.
        resets, steps: uniforms that the world takes to begin an episode, and at each step.
        problems, prompts: of those to begin with, how many are the run's, and then the prompt's.
    """

    reset: Callable[..., Any]
    observe: Callable[..., Any]
    step: Callable[..., Any]
    states: int
    resets: int
    steps: int
    problems: int = 0
    prompts: int = 0


inlined: Any = cache(register_jitable)  # registered once, however often it is asked for


@register_jitable
def counted_action(taken, lanes, lane, like):  # type: ignore[no-untyped-def]
    return np.int64(at(taken, lane))


@register_jitable
def vector_action(taken, lanes, lane, like):  # type: ignore[no-untyped-def]
    return load(taken, lanes, lane, like)


def begins(kind: Kind) -> Any:
    """A function that puts the first state of an episode into a lane."""
    reset = inlined(kind.reset)
    like, resets, problems, prompts = (0.0,) * kind.resets, kind.resets, kind.problems, kind.prompts

    @specialized(*kind.parts)
    def begin(state, stride, lane, problem, first, prompt, scratch, constants):  # type: ignore[no-untyped-def]
        for draw in range(resets):
            if draw < problems:
                key = fold_in(problem, draw)
            elif draw < problems + prompts:
                key = fold_in(prompt, draw - problems)
            else:
                key = fold_in(first, draw - problems)
            scratch[draw] = fine_uniform(key)
        store(state, stride, lane, reset(load(scratch, 1, 0, like), constants))

    return begin


def looks(kind: Kind) -> Any:
    """A function that puts what is observed in a lane into `seen`."""
    observe, like = inlined(kind.observe), (0.0,) * kind.states

    @specialized(*kind.parts)
    def look(state, stride, lane, seen, constants):  # type: ignore[no-untyped-def]
        store(seen, 1, 0, observe(load(state, stride, lane, like), constants))

    return look


def steps(kind: Kind) -> Any:
    """A function that observes, acts and steps the world in every lane."""
    observe, step = inlined(kind.observe), inlined(kind.step)
    sample, action_of = kind.sample, vector_action if kind.numbers else counted_action
    state_like, action_like, step_like = (0.0,) * kind.states, (0.0,) * kind.numbers, (0.0,) * kind.steps
    forward = forwards(kind.activation, kind.counted, kind.standardized)
    draws, own_axis, step_draws = max(kind.draws, 1), kind.draws > 0, kind.steps

    @specialized(*kind.parts)
    def advance(  # type: ignore[no-untyped-def]
        flat, sizes, free, clip, low, high, constants, state, stride, lanes, acting, moving,
        time, values, work, action, taken, reward, terminated,
    ):  # fmt: skip
        for lane in range(lanes):
            store(values, lanes, lane, observe(load(state, stride, lane, state_like), constants))
        outputs = forward(flat, sizes, free, clip, values, lanes)
        if own_axis:
            for draw in range(draws):
                for lane in range(lanes):
                    put(work, draw * lanes + lane, uniform(fold_in(fold_in(at(acting, lane), at(time, lane)), draw)))
        else:
            for lane in range(lanes):
                put(work, lane, uniform(fold_in(at(acting, lane), at(time, lane))))
        width = sizes[len(sizes) - 1] + free
        sample(values, outputs, width, work, action, taken, low, high, lanes, draws * lanes)
        for draw in range(step_draws):
            for lane in range(lanes):
                put(work, draw * lanes + lane, uniform(fold_in(fold_in(at(moving, lane), at(time, lane)), draw)))
        for lane in range(lanes):
            following, earned, ended = step(
                load(state, stride, lane, state_like),
                action_of(taken, lanes, lane, action_like),
                load(work, lanes, lane, step_like),
                constants,
            )
            store(state, stride, lane, following)
            put(reward, lane, earned)
            put(terminated, lane, ended)

    return advance
