"""Acrobot, both Mountain Cars and the pendulum are Gymnasium's."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.seeding import np_random
from scipy.stats import ks_2samp

from pglab.envs.acrobot import GOAL_HEIGHT, Acrobot
from pglab.envs.mountain_car import MIN_POSITION, MountainCar, MountainCarContinuous
from pglab.envs.pendulum import Pendulum
from pglab.envs.world import Box, Discrete

NO_DRAWS = torch.empty(0)
PI = math.pi
WORLDS = {
    "acrobot": Acrobot(),
    "mountain_car": MountainCar(),
    "mountain_car_continuous": MountainCarContinuous(),
    "pendulum": Pendulum(),
}
LOWEST = {
    "acrobot": (-PI, -PI, -4 * PI, -9 * PI),
    "mountain_car": (-1.2, -0.07),
    "mountain_car_continuous": (-1.2, -0.07),
    "pendulum": (-PI, -8.0),
}
HIGHEST = {name: tuple(-low for low in lows) for name, lows in LOWEST.items()}
HIGHEST |= {name: (0.6, 0.07) for name in ("mountain_car", "mountain_car_continuous")}
# Of Gymnasium's numbers with the same state in double precision; one Mountain Car keeps single ones there.
EXACT = {"acrobot": 1e-11, "mountain_car": 1e-9, "mountain_car_continuous": 1e-7, "pendulum": 1e-12}
NUMBERS = sum(world.observation.size for world in WORLDS.values())  # compared at once, at level 0.01 together
each_world = pytest.mark.parametrize("name", WORLDS)


def any_states(name: str, lanes: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    low, high = (torch.tensor(ends[name], dtype=torch.float64) for ends in (LOWEST, HIGHEST))
    uniform = torch.rand(lanes, len(low), dtype=torch.float64, generator=generator)
    return tuple((low + uniform * (high - low)).unbind(-1))


def any_actions(world: Any, lanes: int, generator: torch.Generator) -> torch.Tensor:
    """Actions, of a Box some far out of its bounds."""
    if isinstance(world.actions, Discrete):
        return torch.randint(0, world.actions.size, (lanes,), generator=generator)
    return 2.0 * torch.randn(lanes, world.actions.size, dtype=torch.float64, generator=generator)


def state_of(env: Any) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor([float(part)], dtype=torch.float64) for part in env.unwrapped.state)


def turns_apart(name: str, state: tuple[torch.Tensor, ...]) -> np.ndarray:
    """A state `[N, D]` whose angles are points of the circle, as only one world counts turns."""
    parts = [part.double() for part in state]
    angles = {"acrobot": 2, "pendulum": 1}.get(name, 0)
    circle = [f(part) for part in parts[:angles] for f in (torch.cos, torch.sin)]
    return torch.stack((*circle, *parts[angles:]), -1).numpy()


@each_world
def test_any_state_is_followed_by_that_of_gymnasium(name):
    world = WORLDS[name]
    env: Any = gymnasium.make(world.twin.id).unwrapped
    env.reset(seed=0)
    generator = torch.Generator().manual_seed(1)
    state, action = any_states(name, 1000, generator), any_actions(world, 1000, generator)
    step = world.step(state, action, NO_DRAWS)
    played = []
    for lane, chosen in zip(torch.stack(state, -1).numpy(), action.numpy(), strict=True):
        env.state = lane.copy()
        _, reward, terminated, _, _ = env.step(chosen)
        played.append((torch.stack([part[0] for part in state_of(env)]), float(reward), terminated))
    states, rewards, terminations = zip(*played, strict=True)
    expected = turns_apart(name, torch.stack(states).unbind(-1))
    np.testing.assert_allclose(turns_apart(name, step.state), expected, rtol=EXACT[name], atol=EXACT[name])
    np.testing.assert_allclose(step.reward.numpy(), rewards, rtol=2.0**-22, atol=1e-12)
    assert step.terminated.tolist() == list(terminations)
    assert any(terminations) == (name != "pendulum")


def pumped(name: str, state: tuple[torch.Tensor, ...]) -> Any:
    """Pushes the way that it moves, which brings energy in."""
    moves = 1 if state[{"acrobot": 3}.get(name, 1)] >= 0 else -1
    return moves + 1 if isinstance(WORLDS[name].actions, Discrete) else np.array([moves], dtype=np.float32)


def idle(name: str, state: tuple[torch.Tensor, ...]) -> Any:
    return 1 if isinstance(WORLDS[name].actions, Discrete) else np.zeros(1, dtype=np.float32)


def near_the_goal(name: str, state: tuple[torch.Tensor, ...]) -> bool:
    """Whether rounding may decide if the episode ends here."""
    if name == "acrobot":
        height = -torch.cos(state[0]) - torch.cos(state[0] + state[1])
        return abs(height.item() - GOAL_HEIGHT) < 1e-4
    goal = {"mountain_car": 0.5, "mountain_car_continuous": 0.45}.get(name, math.inf)
    return abs(state[0].item() - goal) < 1e-5


@pytest.mark.parametrize("policy", [pumped, idle])
@each_world
def test_an_episode_is_gymnasiums_step_for_step_in_single_precision(name, policy):
    world, env = WORLDS[name], gymnasium.make(WORLDS[name].twin.id)
    env.reset(seed=3)
    terminated = truncated = False
    steps = 0
    while not (terminated or truncated):
        state = state_of(env)
        action = policy(name, state)
        observation, reward, terminated, truncated, _ = env.step(action)
        if name == "pendulum":  # enters with its turns taken off
            state = (torch.remainder(state[0] + PI, 2 * PI) - PI, state[1])
        step = world.step(tuple(part.float() for part in state), torch.as_tensor(action)[None], NO_DRAWS)
        steps += 1
        observed = world.observe(step.state)[0]
        assert (observed.dtype, step.reward.dtype) == (torch.float32, torch.float32)
        np.testing.assert_allclose(observed.numpy(), observation, rtol=1e-5, atol=1e-5)
        assert step.truncated is None
        if not near_the_goal(name, step.state):
            assert step.reward.item() == pytest.approx(float(reward), rel=1e-5, abs=1e-6)
            assert step.terminated.item() == terminated
        assert truncated == (steps == world.horizon)
    assert terminated == (policy is pumped and name != "pendulum")


@each_world
def test_first_states_are_those_of_gymnasium_from_the_same_uniforms(name):
    world = WORLDS[name]
    env: Any = gymnasium.make(world.twin.id).unwrapped
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        uniform = torch.from_numpy(np_random(seed)[0].random(world.reset_draws))
        state = world.reset(uniform)
        assert {part.dtype for part in state} == {torch.float32}
        np.testing.assert_allclose(world.observe(state).numpy(), observation, rtol=1e-6, atol=1e-6)


@each_world
def test_first_states_have_the_distribution_of_gymnasiums(name):
    world = WORLDS[name]
    env: Any = gymnasium.make(world.twin.id).unwrapped
    theirs = np.array([env.reset(seed=0 if n == 0 else None)[0] for n in range(3000)])
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(3000, world.reset_draws, dtype=torch.float64, generator=generator)
    ours = world.observe(world.reset(uniform)).numpy()
    assert ours.shape == theirs.shape
    for one, other in zip(ours.T, theirs.T, strict=True):
        result: Any = ks_2samp(one, other)
        assert result.pvalue > 0.01 / NUMBERS


@each_world
def test_a_lane_has_the_same_bits_wherever_it_lies(name):
    world, generator = WORLDS[name], torch.Generator().manual_seed(2)
    lanes = 37  # not a whole number of vector registers
    state = tuple(part.float() for part in any_states(name, lanes, generator))
    action = any_actions(world, lanes, generator)
    action = action if action.dtype == torch.int64 else action.float()
    for _ in range(5):
        step = world.step(state, action, NO_DRAWS)
        observed = world.observe(step.state)
        for lane in range(lanes):
            alone = world.step(tuple(part[lane : lane + 1] for part in state), action[lane : lane + 1], NO_DRAWS)
            assert torch.equal(world.observe(alone.state)[0], observed[lane])
            assert torch.equal(torch.stack(alone.state)[:, 0], torch.stack(step.state)[:, lane])
            assert alone.reward[0] == step.reward[lane]
        state = step.state


def test_acrobot_is_mirrored_when_state_and_torque_are():
    generator = torch.Generator().manual_seed(4)
    state, action = any_states("acrobot", 200, generator), torch.randint(0, 3, (200,), generator=generator)
    there = Acrobot().step(state, action, NO_DRAWS)
    mirrored = Acrobot().step(tuple(-part for part in state), 2 - action, NO_DRAWS)
    torch.testing.assert_close(torch.stack(there.state), -torch.stack(mirrored.state), rtol=1e-12, atol=1e-12)


def test_a_pendulum_at_rest_upright_or_hanging_stays_there():
    at, still = torch.tensor([0.0, PI]), torch.zeros(2)
    step = Pendulum().step((at, still), torch.zeros(2, 1), NO_DRAWS)
    torch.testing.assert_close(Pendulum().observe(step.state)[:, 0], torch.tensor([1.0, -1.0]))
    torch.testing.assert_close(step.reward, torch.tensor([0.0, -(PI**2)]))


def test_a_push_beyond_the_strongest_is_paid_for_and_moves_no_further():
    rest = (torch.full((2,), -0.5), torch.zeros(2))
    step = MountainCarContinuous().step(rest, torch.tensor([[1.0], [10.0]]), NO_DRAWS)
    assert step.state[0][0] == step.state[0][1]
    torch.testing.assert_close(step.reward, torch.tensor([-0.1, -10.0]))
    step = Pendulum().step((torch.zeros(2), torch.zeros(2)), torch.tensor([[2.0], [10.0]]), NO_DRAWS)
    assert step.state[1][0] == step.state[1][1]
    torch.testing.assert_close(step.reward, torch.tensor([-0.004, -0.004]))


@pytest.mark.parametrize("name", ["mountain_car", "mountain_car_continuous"])
def test_the_wall_on_the_left_stops_the_car(name):
    world, left = WORLDS[name], torch.tensor([MIN_POSITION])
    action = torch.tensor([0]) if name == "mountain_car" else torch.tensor([[-1.0]])
    step = world.step((left + 0.01, torch.tensor([-0.05])), action, NO_DRAWS)
    assert (step.state[0].item(), step.state[1].item()) == (left.item(), 0.0)


def test_the_worlds_say_what_they_are():
    told = {name: (w.observation, w.actions, w.horizon, w.reset_draws, w.step_draws) for name, w in WORLDS.items()}
    assert told == {
        "acrobot": (Box(6), Discrete(3), 500, 4, 0),
        "mountain_car": (Box(2), Discrete(3), 200, 1, 0),
        "mountain_car_continuous": (Box(2), Box(1, -1.0, 1.0), 999, 1, 0),
        "pendulum": (Box(3), Box(1, -2.0, 2.0), 200, 2, 0),
    }


@each_world
def test_a_horizon_below_one_step_is_refused(name):
    with pytest.raises(ValueError, match="horizon=0 must be at least 1"):
        type(WORLDS[name])(0)
