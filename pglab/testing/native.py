"""The contract of a world's native form: it does what the world does in torch."""

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from pglab.envs.spaces import Box, as_space
from pglab.native.compiling import OPTIONS
from pglab.native.lanes import counted_action, inlined, vector_action
from pglab.native.vector import load, store
from pglab.native.world import NativeWorld
from pglab.testing.findings import attempt, first, name_of, require

LANES = 512
STEPS = 200
CLOSE = 1e-4  # of numbers that are computed in single precision there and in double here
TIES = 1e-3  # of the steps may end an episode in one form alone: those at a border, to the last digits


def check_native(world: Any) -> None:
    """Checks that the native form of a world (`world.native()`) does what the world does in torch.

    From the same uniforms both begin in the same states; from the same states, uniforms and random actions, over
    200 steps of 512 episodes, both come to the same states, rewards, observations and ends. Numbers may differ by 1e-4
    of their size, as one may be in single precision; one step in a thousand may be an end in one form alone.

    Args:
        world: the environment, which itself keeps its contract (see `check_env`).

    Raises:
        AssertionError: what differs, and where.
    """
    name = name_of(world)
    native = attempt(f"{name}: native", world.native)
    require(isinstance(native, NativeWorld), f"{name}: native() returned a {type(native).__name__}, not a NativeWorld")
    space, generator = as_space(world.actions), torch.Generator().manual_seed(0)
    numbers = space.size if isinstance(space, Box) else 0
    begin, observe, step = _compiled(native, numbers, world.reset_draws, world.step_draws)
    uniform = torch.rand(LANES, world.reset_draws, dtype=torch.float64, generator=generator)
    state = world.reset(uniform)
    own = np.zeros(native.states * LANES)
    attempt(f"{name}: reset of its native form", begin, own, _by_number(uniform.numpy()), native.constants)
    follows = sum(part[0].numel() for part in state) == native.states  # else its state is another one, and goes its way
    for t in range(STEPS if world.horizon is None else min(STEPS, world.horizon)):
        seen = np.zeros(world.observation.stored * LANES)
        attempt(f"{name}: observe of its native form", observe, own, seen, native.constants)
        _same(name, f"observation after {t} steps", seen.reshape(-1, LANES).T, world.observe(state))
        if follows:
            _same(name, f"state after {t} steps", own.reshape(-1, LANES).T, _flat(state))
            own = _by_number(_flat(state).double().numpy())
        action, uniform = _actions(space, generator), torch.rand(LANES, world.step_draws, generator=generator)
        reward, ended = np.zeros(LANES), np.zeros(LANES, dtype=bool)
        taken = _by_number(action.reshape(LANES, -1).numpy().astype(np.float32))
        attempt(
            f"{name}: step of its native form", step, own, taken, _by_number(uniform.numpy()), reward, ended,
            native.constants,
        )  # fmt: skip
        following = world.step(state, action, uniform)
        apart = ended != following.terminated.numpy()
        require(
            apart.mean() <= TIES,
            f"{name}: {apart.sum()} of {LANES} episodes end at step {t} in one form alone; the first is native "
            f"{ended[apart][:1]} and torch {following.terminated.numpy()[apart][:1]}",
        )
        together = torch.from_numpy(~apart)
        _same(name, f"reward of step {t}", reward[~apart, None], following.reward[together, None])
        over = following.terminated
        fresh = world.reset(torch.rand(LANES, world.reset_draws, dtype=torch.float64, generator=generator))
        state = tuple(_where(over, new, old) for new, old in zip(fresh, following.state, strict=True))
        if not follows or world.horizon == 1:
            return
        _same(name, f"state after {t + 1} steps", own.reshape(-1, LANES).T[~over], _flat(following.state)[~over])
        own = _by_number(_flat(state).double().numpy())


def _compiled(native: NativeWorld, numbers: int, resets: int, draws: int) -> tuple[Any, Any, Any]:
    """The three functions on `LANES` lanes."""
    reset, look, move = (inlined(f) for f in (native.reset, native.observe, native.step))
    state_like, reset_like, step_like = (0.0,) * native.states, (0.0,) * resets, (0.0,) * draws
    action_of, action_like = vector_action if numbers else counted_action, (0.0,) * numbers
    compiled = numba.njit(**OPTIONS)

    @compiled
    def begin(state, uniforms, constants):  # type: ignore[no-untyped-def]
        for lane in range(LANES):
            store(state, LANES, lane, reset(load(uniforms, LANES, lane, reset_like), constants))

    @compiled
    def observe(state, seen, constants):  # type: ignore[no-untyped-def]
        for lane in range(LANES):
            store(seen, LANES, lane, look(load(state, LANES, lane, state_like), constants))

    @compiled
    def step(state, taken, uniforms, reward, ended, constants):  # type: ignore[no-untyped-def]
        for lane in range(LANES):
            following, earned, over = move(  # type: ignore[misc]
                load(state, LANES, lane, state_like),
                action_of(taken, LANES, lane, action_like),
                load(uniforms, LANES, lane, step_like),
                constants,
            )
            store(state, LANES, lane, following)
            reward[lane] = earned
            ended[lane] = over

    return begin, observe, step


def _actions(space: Any, generator: torch.Generator) -> Tensor:
    if isinstance(space, Box):
        return torch.randn(LANES, space.size, generator=generator) * 2
    return torch.randint(space.size, (LANES,), generator=generator)


def _by_number(rows: np.ndarray) -> np.ndarray:
    """`[lanes, n]` as compiled code has it: flat `[n, lanes]`."""
    return np.ascontiguousarray(rows.T).reshape(-1)


def _flat(state: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([part.reshape(LANES, -1).double() for part in state], -1)


def _where(over: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(over.reshape(-1, *[1] * (new.dim() - 1)), new, old)


def _same(name: str, what: str, native: np.ndarray, expected: Tensor) -> None:
    found, wanted = torch.from_numpy(np.ascontiguousarray(native)), expected.double()
    wrong = ~torch.isclose(found, wanted, rtol=CLOSE, atol=CLOSE)
    if wrong.any():
        lane, number = first(wrong)
        raise AssertionError(
            f"{name}: {what}, number {number} in lane {lane}, is {found[lane, number].item():.9g} in the native form "
            f"and {wanted[lane, number].item():.9g} in torch"
        )
