"""What every world owes to the programs that play it."""

import pytest
import torch

from pglab.envs.acrobot import Acrobot
from pglab.envs.bandit import Bandit
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.mountain_car import MountainCar
from pglab.envs.spaces import as_space
from pglab.envs.world import Box, Discrete

NATIVE = {"cartpole": CartPole(), "bandit": Bandit([1.0, 0.5, 0.0], 0.1), "corridor": corridor(), "lake": frozen_lake()}
WORLDS = NATIVE | {"acrobot": GymnasiumWorld("Acrobot-v1"), "gymnasium lake": GymnasiumWorld("FrozenLake-v1")}
each_world = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
each_native_world = pytest.mark.parametrize("world", NATIVE.values(), ids=NATIVE.keys())
LANES = (3, 4)


def draws(world, steps, seed=0):
    """First uniforms, and actions and uniforms of each step."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(*LANES, world.reset_draws, dtype=torch.float64, generator=generator)
    actions = torch.randint(0, as_space(world.actions).size, (steps, *LANES), generator=generator)
    return first, actions, torch.rand(steps, *LANES, world.step_draws, generator=generator)


@each_world
def test_every_lane_has_an_observation_a_reward_and_an_end_of_the_promised_shapes(world):
    first, actions, uniforms = draws(world, 30)
    state = world.reset(first)
    for action, uniform in zip(actions, uniforms, strict=True):
        observed = world.observe(state)
        assert observed.shape == (*LANES, world.observation.stored)
        assert observed.dtype == torch.float32
        if isinstance(world.observation, Discrete):
            assert torch.isin(observed, torch.arange(world.observation.size)).all()
        step = world.step(state, action, uniform)
        assert step.reward.shape == step.terminated.shape == LANES
        assert (step.reward.dtype, step.terminated.dtype) == (torch.float32, torch.bool)
        assert step.truncated is None or (step.truncated.shape, step.truncated.dtype) == (LANES, torch.bool)
        state = step.state


@each_native_world
def test_a_step_is_a_pure_function_of_state_action_and_uniforms(world):
    first, actions, uniforms = draws(world, 5)
    state = world.reset(first)
    for action, uniform in zip(actions, uniforms, strict=True):
        before = [part.clone() for part in state]
        once, again = (world.step(state, action, uniform) for _ in range(2))
        assert all(torch.equal(part, kept) for part, kept in zip(state, before, strict=True))
        assert all(torch.equal(one, other) for one, other in zip(once.state, again.state, strict=True))
        assert torch.equal(once.reward, again.reward)
        assert torch.equal(once.terminated, again.terminated)
        state = once.state


@each_native_world
def test_a_lane_does_not_depend_on_those_beside_it(world):
    first, actions, uniforms = draws(world, 10)
    state, alone = world.reset(first), world.reset(first[1:2, 2:3])
    for action, uniform in zip(actions, uniforms, strict=True):
        step = world.step(state, action, uniform)
        own = world.step(alone, action[1:2, 2:3], uniform[1:2, 2:3])
        torch.testing.assert_close(world.observe(own.state), world.observe(step.state)[1:2, 2:3], rtol=1e-6, atol=1e-7)
        assert torch.equal(own.reward, step.reward[1:2, 2:3])
        assert torch.equal(own.terminated, step.terminated[1:2, 2:3])
        state, alone = step.state, own.state


@pytest.mark.parametrize("make", [CartPole, Acrobot, MountainCar, lambda: Bandit([1.0, 0.5]), corridor, frozen_lake])
def test_what_a_world_returns_is_on_the_device_of_what_it_was_given(make):
    world = make()
    first, actions, uniforms = (tensor.to("meta") for tensor in draws(world, 1))
    state = world.reset(first)
    step = world.step(state, actions[0], uniforms[0])
    tensors = (*state, *step.state, world.observe(step.state), step.reward, step.terminated)
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_an_observation_takes_as_many_numbers_as_it_has_and_a_symbol_takes_one():
    assert [Box(size).stored for size in (1, 4, 28)] == [1, 4, 28]
    assert [Discrete(size).stored for size in (1, 4, 28)] == [1, 1, 1]
