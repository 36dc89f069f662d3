import gymnasium
import numpy as np
import pytest
import torch

from pglab.envs.cartpole import ANGLE_LIMIT, X_LIMIT, CartPole
from pglab.envs.world import Box, Discrete

NO_DRAWS = torch.empty(0)


def gymnasium_step(env, state, action):
    """One step of Gymnasium's cart from a given state: its next state, observation, reward, end."""
    env.state, env.steps_beyond_terminated = np.array(state), None
    observation, reward, terminated, _, _ = env.step(int(action))
    return env.state, observation, reward, terminated


def assert_same_step(world, env, state, action):
    """A step of every lane `[N]` agrees with Gymnasium's; returns the next state and which lanes ended."""
    step = world.step(state, action, NO_DRAWS)
    played = [gymnasium_step(env, s, a) for s, a in zip(torch.stack(state, -1).tolist(), action, strict=True)]
    states, observations, rewards, terminated = map(np.array, zip(*played, strict=True))
    np.testing.assert_allclose(torch.stack(step.state, -1).numpy(), states, rtol=1e-12, atol=1e-15)
    observed = world.observe(step.state)
    assert observed.dtype == torch.float32
    np.testing.assert_allclose(observed.numpy(), observations, rtol=2.0**-23, atol=1e-15)
    assert step.reward.tolist() == rewards.tolist()
    assert step.terminated.tolist() == terminated.tolist()
    return step.state, step.terminated


def test_random_play_follows_gymnasium_step_for_step():
    world, env = CartPole(), gymnasium.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    generator = torch.Generator().manual_seed(0)
    lanes, steps, ends = 64, 200, 0
    state = world.reset(torch.rand(lanes, 4, dtype=torch.float64, generator=generator))
    for _ in range(steps):
        action = torch.randint(0, 2, (lanes,), generator=generator)
        state, ended = assert_same_step(world, env, state, action)
        fresh = world.reset(torch.rand(lanes, 4, dtype=torch.float64, generator=generator))
        state = tuple(torch.where(ended, new, old) for new, old in zip(fresh, state, strict=True))
        ends += int(ended.sum())
    assert lanes * steps >= 10_000
    assert ends > 400


def test_any_state_is_followed_by_that_of_gymnasium():
    world, env = CartPole(), gymnasium.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    generator = torch.Generator().manual_seed(1)
    reach = torch.tensor([2.5, 4.0, 0.3, 4.0], dtype=torch.float64)  # into the states beyond both limits
    state = tuple(((2 * torch.rand(4096, 4, dtype=torch.float64, generator=generator) - 1) * reach).unbind(-1))
    _, ended = assert_same_step(world, env, state, torch.randint(0, 2, (4096,), generator=generator))
    assert 0.1 < ended.float().mean() < 0.9


@pytest.mark.filterwarnings("ignore:.*The environment CartPole-v0 is out of date:DeprecationWarning")
@pytest.mark.parametrize(("id", "horizon"), [("CartPole-v0", 200), ("CartPole-v1", 500)])
def test_a_balanced_pole_is_cut_off_where_gymnasium_cuts_it_off(id, horizon):
    world, env = CartPole(horizon), gymnasium.make(id)
    env.reset(seed=0)
    state, truncated, steps = world.reset(torch.full((1, 4), 0.6, dtype=torch.float64)), False, 0
    while not truncated:
        x, x_dot, theta, theta_dot = (part.item() for part in state)
        action = int(theta + 0.3 * theta_dot + 0.05 * x + 0.1 * x_dot > 0)
        env.unwrapped.state = np.array([x, x_dot, theta, theta_dot])
        _, reward, terminated, truncated, _ = env.step(action)
        step = world.step(state, torch.tensor([action]), NO_DRAWS)
        state, steps = step.state, steps + 1
        assert (step.terminated.item(), step.reward.item(), step.truncated) == (terminated, reward, None)
        assert not terminated
    assert steps == world.horizon


def test_first_states_are_those_of_gymnasium_from_the_same_uniforms():
    env = gymnasium.make("CartPole-v1").unwrapped
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        uniform = torch.from_numpy(gymnasium.utils.seeding.np_random(seed)[0].random(4))
        state = CartPole().reset(uniform)
        np.testing.assert_allclose(torch.stack(state).numpy(), env.state, rtol=0, atol=1e-17)
        np.testing.assert_allclose(CartPole().observe(state).numpy(), observation, rtol=2.0**-23)


def test_first_states_fill_their_range():
    edges = torch.tensor([0.0, 0.5, 1 - 2.0**-53], dtype=torch.float64)[:, None].expand(-1, 4)
    for part in CartPole().reset(edges):
        assert part[0] == -0.05
        assert part[1] == 0
        assert 0.05 - 1e-15 < part[2] <= 0.05


def test_the_pole_falls_just_beyond_the_limits_and_not_at_them():
    at = torch.tensor([X_LIMIT, -X_LIMIT, 0, 0], dtype=torch.float64)
    lean = torch.tensor([0, 0, ANGLE_LIMIT, -ANGLE_LIMIT], dtype=torch.float64)
    still, action = torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.int64)
    # Position and angle move with the old velocities: at rest they stay where they are.
    assert not CartPole().step((at, still, lean, still), action, NO_DRAWS).terminated.any()
    outwards = torch.tensor([1.0, -1.0, 0, 0], dtype=torch.float64) * 1e-12
    falling = torch.tensor([0, 0, 1.0, -1.0], dtype=torch.float64) * 1e-12
    assert CartPole().step((at, outwards, lean, falling), action, NO_DRAWS).terminated.all()


def test_the_cart_is_mirrored_when_state_and_action_are():
    generator = torch.Generator().manual_seed(2)
    state = tuple(torch.randn(4, 100, dtype=torch.float64, generator=generator))
    action = torch.randint(0, 2, (100,), generator=generator)
    there = CartPole().step(state, action, NO_DRAWS)
    mirrored = CartPole().step(tuple(-part for part in state), 1 - action, NO_DRAWS)
    for one, other in zip(there.state, mirrored.state, strict=True):
        torch.testing.assert_close(one, -other, rtol=1e-13, atol=1e-14)
    assert torch.equal(there.terminated, mirrored.terminated)


def test_lanes_may_have_any_shape():
    world, generator = CartPole(), torch.Generator().manual_seed(3)
    uniform = torch.rand(2, 3, 4, dtype=torch.float64, generator=generator)
    action = torch.randint(0, 2, (2, 3), generator=generator)
    grid = world.step(world.reset(uniform), action, NO_DRAWS)
    row = world.step(world.reset(uniform.flatten(0, 1)), action.flatten(), NO_DRAWS)
    assert world.observe(grid.state).shape == (2, 3, 4)
    assert torch.equal(torch.stack(grid.state).flatten(1), torch.stack(row.state))


def test_the_world_says_what_it_is():
    world = CartPole(200)
    assert (world.observation, world.actions, world.horizon) == (Box(4), Discrete(2), 200)
    assert (world.reset_draws, world.step_draws) == (4, 0)


def test_a_horizon_below_one_step_is_refused():
    with pytest.raises(ValueError, match="horizon=0 must be at least 1"):
        CartPole(0)
