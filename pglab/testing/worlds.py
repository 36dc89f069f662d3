"""The contract of an environment: the protocol `pglab.envs.world.World`."""

from itertools import product
from typing import Any

import torch
from torch import Tensor

from pglab.envs.spaces import Box, Discrete, as_space
from pglab.envs.world import Parking
from pglab.testing.findings import differing, first, name_of, place, require, unchanged
from pglab.testing.playing import BELOW_ONE, Draws, Lanes, Play, begin, observe, play, step

LANES: Lanes = (3, 4)
SHORT = 16
LONG = 10_000  # steps of an episode that its horizon ends
PATIENCE = 100_000  # and of one that must end by itself


def check_env(world: Any) -> None:
    """Checks that an environment keeps its contract (see `pglab.envs.world.World`).

    Its attributes; shapes, dtypes and finite numbers of what `reset`, `observe` and `step` return,
    for random actions, for any leading lane axes and for uniforms of 0 and just below 1 (those of
    `reset` in double precision, those of `step` in single); the same uniforms and actions give the
    same episodes; no lane depends on another one's, nor on where it is and whether others are still
    played; stepping on after an episode's end raises nothing; after a truncation of its own the
    observation stays; `reset`, `observe` and `step` are functions of their arguments, which they
    do not change. Without a `horizon`, every one of 12 lanes ends within 100,000 random steps (with
    one, the first 10,000 steps of an episode are played at most).

    A world that has `park` keeps its episodes itself, as `GymnasiumWorld` does: for such a one
    it is not checked that a state can be stepped from twice or be replaced by another, and lanes have
    exactly two axes, banks and lanes, of which a state tensor needs only the first. Instead,
    parked lanes must leave the others as they are.

    Args:
        world: the environment.

    Raises:
        AssertionError: what broke, where, what was expected and what to do.
    """
    name = name_of(world)
    _check_attributes(name, world)
    stateful = isinstance(world, Parking)
    for lanes in (LANES,) if stateful else (LANES, (), (5,), (2, 1, 3)):
        for edge in (None, 0.0, BELOW_ONE):
            play(name, world, Draws(world, lanes, edge=edge), _short(world))
    _check_repeats(name, world)
    _check_lanes_apart(name, world)
    _check_lanes_moved(name, world, stateful)
    if stateful:
        _check_parking(name, world)
    else:
        _check_pure(name, world)
        _check_lane_alone(name, world)
    _check_whole_episodes(name, world)


def _check_attributes(name: str, world: Any) -> None:
    for attribute in ("observation", "actions", "horizon", "reset_draws", "step_draws"):
        require(hasattr(world, attribute), f"{name} has no attribute `{attribute}` (see pglab.envs.world.World)")
    for method in ("reset", "observe", "step"):
        require(callable(getattr(world, method, None)), f"{name} has no method `{method}` (see pglab.envs.world.World)")
    require(
        isinstance(world.observation, Box | Discrete) and _whole(world.observation.size, 1),
        f"{name}: observation is {world.observation!r}, which must be Box(D) or Discrete(D) with D of at least 1",
    )
    space = as_space(world.actions)
    require(
        _whole(space.size, 1),
        f"{name}: actions is {world.actions!r}, which must be Discrete(A), Box(D) or an int of at least 1",
    )
    for attribute, least in (("reset_draws", 0), ("step_draws", 0)):
        value = getattr(world, attribute)
        require(_whole(value, least), f"{name}: {attribute} is {value!r}, which must be an int of at least {least}")
    of_run = getattr(world, "problem_draws", 0)
    require(
        _whole(of_run, 0) and of_run <= world.reset_draws,
        f"{name}: problem_draws is {of_run!r}, which must be an int from 0 to reset_draws={world.reset_draws}: how "
        "many of the uniforms that `reset` takes are the run's own",
    )
    require(
        world.horizon is None or _whole(world.horizon, 1),
        f"{name}: horizon is {world.horizon!r}, which must be None or an int of at least 1",
    )


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _short(world: Any) -> int:
    """Steps of a short play: training never steps a world beyond its horizon."""
    return SHORT if world.horizon is None else min(SHORT, world.horizon)


def _check_repeats(name: str, world: Any) -> None:
    once, again = (play(name, world, Draws(world, LANES), _short(world)) for _ in range(2))
    _require_same(
        once,
        again,
        f"{name} played another episode from the same uniforms and actions: all randomness must come from the given "
        "uniforms, and `reset` must begin afresh",
    )


def _check_lanes_apart(name: str, world: Any) -> None:
    plain = play(name, world, Draws(world, LANES), _short(world))
    last = tuple(n - 1 for n in LANES)
    for what, lane in product(("reset uniforms", "action", "step uniforms"), ((0, 0), last)):
        others = torch.ones(LANES, dtype=torch.bool)
        others[lane] = False
        _require_same(
            play(name, world, Draws(world, LANES, other=what, lane=lane), _short(world)),
            plain,
            f"{name} mixes lanes: with another {what} in lane {list(lane)}, another lane changed; compute each lane "
            "from its own entries only",
            others,
        )


def _check_lanes_moved(name: str, world: Any, stateful: bool) -> None:
    """Training goes on with the lanes that play, beside others than before, or with the banks in which some do."""
    plain, places = play(name, world, Draws(world, LANES), _short(world)), torch.arange(LANES[0] * LANES[1])
    kept = places.reshape(LANES)[[2, 0]] if stateful else places[[11, 2, 5, 0, 7, 9, 4, 1]].reshape(2, LANES[1])
    dropped = play(name, world, Draws(world, LANES), _short(world), keep=kept, after=_short(world) // 2)
    how = "part.index_select(0, banks)" if stateful else "part.flatten(0, 1)[places]"
    _require_same(
        dropped,
        Play(*(part.flatten(1, 2)[:, kept] for part in plain)),
        f"{name} plays {'a bank of lanes' if stateful else 'a lane'} on otherwise once others are dropped (`{how}` for "
        "each part of the state): keep all that a lane needs in the state",
    )


def _check_parking(name: str, world: Any) -> None:
    draws = Draws(world, LANES)
    plain = play(name, world, draws, _short(world))
    alive = torch.ones(LANES, dtype=torch.bool)
    alive[:, 1] = False
    _require_same(
        play(name, world, draws, _short(world), alive=alive, after=_short(world) // 2),
        plain,
        f"{name}: `park` changed the episodes of lanes that are not parked",
        alive,
    )


def _check_lane_alone(name: str, world: Any) -> None:
    plain = play(name, world, Draws(world, LANES), _short(world))
    alone = play(name, world, Draws(world, LANES, only=(1, 2)), _short(world))
    _require_same(
        alone,
        Play(*(part[:, 1, 2] for part in plain)),
        f"{name} depends on the lane axes: lane [1, 2] of {list(LANES)} plays otherwise without lane axes; count "
        "axes from the end",
    )


def _check_pure(name: str, world: Any) -> None:
    draws = Draws(world, LANES)
    with unchanged(f"{name}: reset", {"uniform": draws.first}):
        state = begin(name, world, draws.first)
    for t in range(min(4, _short(world))):
        action, uniform = draws.at(t)
        given = {f"state[{i}]": part for i, part in enumerate(state)} | {"action": action, "uniform": uniform}
        with unchanged(f"{name}: observe", given):
            seen = observe(name, world, state, LANES)
        with unchanged(f"{name}: step", given):
            once = step(name, world, state, action, uniform)
        # Stepping elsewhere in between shows what a world keeps to itself.
        step(name, world, begin(name, world, 1 - draws.first.clamp(min=2.0**-53)), action, uniform)
        again = step(name, world, state, action, uniform)
        pairs = [
            (once.reward, again.reward),
            (once.terminated, again.terminated),
            *zip(once.state, again.state, strict=True),
        ]
        require(
            not any(differing(a, b, 0.0).any() for a, b in pairs)
            and not differing(observe(name, world, state, LANES), seen, 0.0).any(),
            f"{name} went elsewhere when step {t} was taken again from the same state, action and uniforms: keep all "
            "that an episode needs in the state (or give the world a `park`, if it cannot be a pure function)",
        )
        state = once.state


def _check_whole_episodes(name: str, world: Any) -> None:
    draws = Draws(world, LANES)
    state = begin(name, world, draws.first)
    running = torch.ones(LANES, dtype=torch.bool)
    stands = torch.zeros(LANES, dtype=torch.bool)
    last = observe(name, world, state, LANES)
    limit = PATIENCE if world.horizon is None else min(world.horizon, LONG)
    beyond = 0
    for t in range(limit):
        following = step(name, world, state, *draws.at(t), running, t)
        state = following.state
        seen = observe(name, world, state, LANES, running & ~following.terminated, t + 1)
        moved = stands & differing(seen, last, 0.0).any(-1)
        if moved.any():
            raise AssertionError(
                f"{name} moved on after it had truncated an episode itself, {place(moved, 'lane')} "
                f"in step {t}: its last observation must stay, so let the lane stand still",
            )
        if following.truncated is not None:
            stands |= running & following.truncated
            running &= ~following.truncated
        running &= ~following.terminated
        last = seen
        beyond += not running.any()
        if beyond > SHORT:
            return
    if world.horizon is None and running.any():
        raise AssertionError(
            f"{name} has horizon None, and the episode {place(running, 'lane')} had not ended after {limit:,} steps "
            "with random actions, the longest tried: training waits for every episode, so give the world a horizon "
            "or make sure that its episodes end"
        )


def _require_same(one: Play, other: Play, finding: str, lanes: Tensor | None = None) -> None:
    """Fails unless two plays agree up to rounding (in the given lanes, as long as their episodes last)."""
    ended = other.ended.long().cumsum(0) - other.ended.long() > 0
    for what, a, b in zip(Play._fields, one, other, strict=True):
        moved = differing(a, b, 1e-5)
        if what == "observation":
            moved = moved.any(-1)[1:] | moved.any(-1)[:1]
        moved &= ~ended
        if lanes is not None:
            moved &= lanes
        if moved.any():
            at = first(moved)
            raise AssertionError(f"{finding} (first seen in step {at[0]}, lane {list(at[1:])}, in its {what})")
