"""The contract of a world that is played by compiled code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Constants = tuple[np.ndarray | float | int, ...]


@dataclass(frozen=True)
class NativeWorld:
    """A world as three functions of scalars, which numba compiles; each belongs to a module, and has no closure.

    States and observations are tuples of floats, always of the same length. A state's numbers are those of the state in
    torch, part by part, and are kept in double precision; an observation is put into single. Functions for them that
    are fast, and the same on every processor, are in `pglab.native.functions`; `math` is at hand, too. A function that
    they call needs `numba.extending.register_jitable` before it. An `if` that chooses between values
    (`a if x > 0 else b`) costs less than one around statements.

    Attributes:
        reset: (uniforms, constants) → state, from a tuple of `reset_draws` uniforms.
        observe: (state, constants) → observation; of one that is a symbol, its number alone, `(k,)`.
        step: (state, action, uniforms, constants) → (state, reward, terminated), from a tuple of `step_draws` uniforms.
            The action is a whole number, or where actions are a Box a tuple of numbers.
        states: numbers of a state.
        constants: what the functions need besides, handed to each of them: numbers and arrays, the same for all runs.

    What else there is of a world (spaces, horizon, draws) its torch form says.
    """

    reset: Callable[..., Any]
    observe: Callable[..., Any]
    step: Callable[..., Any]
    states: int
    constants: Constants = (0.0,)
