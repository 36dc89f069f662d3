"""Playing a world for a while, with a look at everything that it returns."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from pglab.envs.spaces import Discrete, as_space, type_of
from pglab.envs.world import Parking, State, Step
from pglab.testing.findings import attempt, first, place, require

BELOW_ONE = 1.0  # stands for the largest number below 1 of the precision in question
Lanes = tuple[int, ...]


class Draws:
    """The uniforms and actions of some lanes, the same for the same arguments.

    Args:
        world: whose draws they are.
        lanes: the lane axes.
        edge: uniforms of 0 or of the largest number below 1 in place of random ones.
        other: what `lane` draws otherwise: "reset uniforms", "action" or "step uniforms".
        lane: see there.
        only: a lane that plays alone, without lane axes.
    """

    def __init__(
        self,
        world: Any,
        lanes: Lanes,
        edge: float | None = None,
        other: str | None = None,
        lane: Lanes = (),
        only: Lanes | None = None,
    ) -> None:
        self.lanes = lanes if only is None else ()
        self._world, self._all, self._edge, self._only = world, lanes, edge, only
        self._other, self._lane = other, lane
        first = self._uniforms(0, world.reset_draws, torch.float64)
        if other == "reset uniforms":
            first[lane] = (first[lane] + 0.5) % 1
        self.first = self._picked(first)

    def at(self, t: int) -> tuple[Tensor, Tensor]:
        """Actions `[...]` (of a Box normal ones, `[..., D]`) and uniforms `[..., step_draws]` of step t."""
        space, generator = as_space(self._world.actions), torch.Generator().manual_seed(2 * t + 1)
        if isinstance(space, Discrete):
            action = torch.randint(0, space.size, self._all, generator=generator)
        else:
            action = torch.randn(*self._all, space.size, generator=generator)
        uniform = self._uniforms(2 * t + 2, self._world.step_draws, torch.float32)
        if self._other == "action":
            other = action[self._lane] + 1
            action[self._lane] = other % space.size if isinstance(space, Discrete) else other
        if self._other == "step uniforms":
            uniform[self._lane] = (uniform[self._lane] + 0.5) % 1
        return self._picked(action), self._picked(uniform)

    def _uniforms(self, seed: int, draws: int, dtype: torch.dtype) -> Tensor:
        if self._edge is not None:
            largest = 1 - torch.finfo(dtype).eps / 2
            return torch.full((*self._all, draws), min(self._edge, largest), dtype=dtype)
        return torch.rand(*self._all, draws, dtype=dtype, generator=torch.Generator().manual_seed(seed))

    def _picked(self, drawn: Tensor) -> Tensor:
        return drawn if self._only is None else drawn[self._only]


class Play(NamedTuple):
    """All that was seen in T steps of some lanes.

    Attributes:
        observation: first one included, `[T + 1, ..., D]`.
        reward, terminated, truncated: `[T, ...]`.
    """

    observation: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor

    @property
    def ended(self) -> Tensor:
        return self.terminated | self.truncated


def play(
    name: str,
    world: Any,
    draws: Draws,
    steps: int,
    keep: Tensor | None = None,
    alive: Tensor | None = None,
    after: int = 0,
) -> Play:
    """Plays some steps, and fails when anything returned is not as promised.

    Args:
        name: of the world in messages.
        world, draws: what to play.
        steps: how many.
        keep: lanes to go on with after `after` steps, by their places among all, `[b, C]`; only they are in the result.
            A world that has `park` is given whole banks.
        alive: lanes to go on with after `after` steps, the others are parked.
        after: see there.
    """
    state, lanes = begin(name, world, draws.first), draws.lanes
    running = torch.ones(lanes, dtype=torch.bool)
    seen = [observe(name, world, state, lanes)]
    played = []
    for t in range(steps):
        action, uniform = draws.at(t)
        if keep is not None and t >= after:
            if t == after:
                banks = keep[:, 0] // keep.shape[1]
                state = tuple(part[banks] if isinstance(world, Parking) else part.flatten(0, 1)[keep] for part in state)
                running = running.flatten()[keep]
                lanes = tuple(keep.shape)
            action, uniform = action.flatten(0, 1)[keep], uniform.flatten(0, 1)[keep]
        if alive is not None and t == after:
            attempt(f"{name}: park", world.park, state, alive)
            running = running & alive
        following = step(name, world, state, action, uniform, running, t)
        truncated = torch.zeros_like(following.terminated) if following.truncated is None else following.truncated
        played.append((following.reward, following.terminated, truncated))
        running = running & ~following.terminated & ~truncated
        state = following.state
        seen.append(observe(name, world, state, lanes, running, t + 1))
    if keep is not None:
        seen = [part.flatten(0, 1)[keep] if t <= after else part for t, part in enumerate(seen)]
        played = [tuple(x.flatten()[keep] for x in part) if t < after else part for t, part in enumerate(played)]
    return Play(torch.stack(seen), *(torch.stack(part) for part in zip(*played, strict=True)))


def begin(name: str, world: Any, uniform: Tensor) -> State:
    """The first states."""
    what = f"{name}: reset with uniforms {list(uniform.shape)}"
    state = attempt(what, world.reset, uniform)
    _check_state(what, world, state, tuple(uniform.shape[:-1]))
    return state


def observe(name: str, world: Any, state: State, lanes: Lanes, running: Tensor | None = None, t: int = 0) -> Tensor:
    """The observations of a state; numbers must be finite in the lanes that still run."""
    obs = attempt(f"{name}: observe, after {t} steps of lanes {list(lanes)},", world.observe, state)
    shape, dtype = [*lanes, world.observation.stored], type_of(world.observation)
    require(
        isinstance(obs, Tensor) and list(obs.shape) == shape and obs.dtype == dtype,
        f"{name}: observe returned {_what(obs)} for lanes {list(lanes)}: {dtype} of shape {shape} is expected "
        "(lane axes, then the numbers of one observation)",
    )
    if isinstance(world.observation, Discrete):
        size = world.observation.size
        wrong = ~torch.isin(obs, torch.arange(size, dtype=obs.dtype))
        if wrong.any():
            raise AssertionError(
                f"{name}: observe returned {obs[first(wrong)].item()} after {t} steps "
                f"{place(wrong, '[..., 1]')}: an index from 0 to {size - 1} is expected, also after "
                "an episode's end",
            )
        return obs
    wrong = ~obs.isfinite() if running is None else ~obs.isfinite() & running[..., None]
    if wrong.any():
        raise AssertionError(
            f"{name}: observe returned a number that is not finite after {t} steps "
            f"{place(wrong, '[..., D]')}: only finite observations can be learnt from",
        )
    return obs


def step(
    name: str, world: Any, state: State, action: Tensor, uniform: Tensor, running: Tensor | None = None, t: int = 0
) -> Step:
    """One step; rewards must be finite in the lanes that still run."""
    lanes = list(uniform.shape[:-1])
    over = running is not None and not running.all()
    late = " (some lanes after their episode's end: they are stepped on until all have ended)" if over else ""
    what = f"{name}: step {t} of lanes {lanes}{late}"
    following = attempt(what, world.step, state, action, uniform)
    missing = [field for field in Step._fields if not hasattr(following, field)]
    require(not missing, f"{what} returned a {type(following).__name__} without {', '.join(missing)}: return a Step")
    _check_state(what, world, following.state, tuple(lanes))
    for field, kind in (("reward", "a floating-point number"), ("terminated", "a boolean"), ("truncated", "a boolean")):
        part = getattr(following, field)
        if field == "truncated" and part is None:
            continue
        is_kind = isinstance(part, Tensor) and (
            part.is_floating_point() if field == "reward" else part.dtype == torch.bool
        )
        require(
            is_kind and list(part.shape) == lanes,
            f"{what} returned {_what(part)} as {field}: {kind} for each lane is expected, shape {lanes}",
        )
    wrong = ~following.reward.isfinite()
    if running is not None:
        wrong &= running
    if wrong.any():
        raise AssertionError(
            f"{what} returned a reward that is not finite {place(wrong, 'lane')}: a return would not be finite either",
        )
    return following


def _check_state(what: str, world: Any, state: Any, lanes: Lanes) -> None:
    require(
        isinstance(state, tuple) and bool(state) and all(isinstance(part, Tensor) for part in state),
        f"{what} returned a state that is {_what(state)}: a tuple of tensors is expected, of at least one",
    )
    axes = 1 if hasattr(world, "park") else len(lanes)
    for i, part in enumerate(state):
        require(
            tuple(part.shape[:axes]) == lanes[:axes],
            f"{what} returned state[{i}] of shape {list(part.shape)}: its first axes must be the lanes, {list(lanes)}",
        )


def _what(result: Any) -> str:
    if not isinstance(result, Tensor):
        return f"a {type(result).__name__}"
    return f"shape {list(result.shape)} of {result.dtype}"
