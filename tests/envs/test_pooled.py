"""Tasks of MuJoCo stepped by EnvPool: what EnvPool plays, by the seed of each environment."""

import numpy as np
import pytest
import torch

from pglab.envs.mujoco import mujoco
from pglab.envs.pooled import PooledWorld
from tests.mujoco_here import needs_envpool, needs_mujoco

pytestmark = [needs_mujoco, needs_envpool]
NO_DRAWS, LIMIT = torch.empty(0), 9


@pytest.fixture
def world():
    return mujoco("Hopper-v5", "envpool", max_episode_steps=LIMIT)


def as_uniforms(seeds):
    """The uniforms `[..., 1]` from which EnvPool's environments get these seeds of 31 bits."""
    return torch.tensor(seeds, dtype=torch.float64)[..., None] / 2**31


def plain(seed):
    """One environment of EnvPool itself."""
    import envpool

    return envpool.make_gymnasium("Hopper-v5", num_envs=1, env_seed=[seed], max_episode_steps=LIMIT)


def some_actions(*shape):
    return torch.rand(*shape, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_envpool_is_what_steps_where_it_is_there_and_nothing_special_is_asked_for(world):
    assert isinstance(mujoco("Hopper-v5"), PooledWorld)
    assert not isinstance(mujoco("Hopper-v5", kwargs={"ctrl_cost_weight": 0.5}), PooledWorld)
    with pytest.raises(ValueError, match=r"kwargs are Gymnasium's: with them it is env.backend=gymnasium"):
        mujoco("Hopper-v5", "envpool", kwargs={"ctrl_cost_weight": 0.5})
    assert world.horizon == LIMIT


def test_every_lane_is_an_environment_with_a_seed_of_its_own_and_stands_still_at_its_end(world):
    seeds = [[3, 4], [2**31 - 1, 3]]
    state, actions = world.reset(as_uniforms(seeds)), some_actions(LIMIT + 2, 2, 2)
    envs = [[plain(seed) for seed in bank] for bank in seeds]
    for b, c in np.ndindex(2, 2):
        assert np.array_equal(world.observe(state)[b, c], np.float32(envs[b][c].reset()[0][0]))
    for t, action in enumerate(actions):
        before, step = world.observe(state), world.step(state, action, NO_DRAWS)
        state = step.state
        assert step.truncated is not None
        for b, c in np.ndindex(2, 2):
            if t >= LIMIT:
                assert torch.equal(world.observe(state)[b, c], before[b, c])
                assert step.truncated[b, c]
                continue
            obs, reward, terminated, truncated, _ = envs[b][c].step(action[b, c].numpy()[None])
            assert np.array_equal(world.observe(state)[b, c], np.float32(obs[0]))
            assert step.reward[b, c] == np.float32(reward[0])
            assert (step.terminated[b, c], step.truncated[b, c]) == (terminated[0], truncated[0])


def test_banks_play_on_alone_and_parked_lanes_do_not(world):
    seeds, actions = as_uniforms([[1, 2], [3, 4]]), some_actions(6, 2, 2)
    whole, state = [], world.reset(seeds)
    for action in actions:
        state = world.step(state, action, NO_DRAWS).state
        whole.append(world.observe(state))
    state = world.reset(seeds)
    for action in actions[:3]:
        state = world.step(state, action, NO_DRAWS).state
    state = tuple(part[1:] for part in state)
    world.park(state, torch.tensor([[True, False]]))
    for t in (3, 4, 5):
        state = world.step(state, actions[t, 1:], NO_DRAWS).state
        assert torch.equal(world.observe(state)[0, 0], whole[t][1, 0])
        assert torch.equal(world.observe(state)[0, 1], whole[2][1, 1])


def lanes_at_work(world, steps):
    """Two lanes after some steps, of which the first ended an episode whenever LIMIT was reached."""
    lanes = world.replayed()
    state = lanes.reset(as_uniforms([5, 6]))
    for action in some_actions(steps, 2):
        step = lanes.step(state, action, NO_DRAWS)
        state, ended = step.state, (step.terminated | step.truncated).nonzero()[:, 0]
        if len(ended):
            begun = lanes.after(tuple(part[ended] for part in state), torch.zeros(len(ended), 1))
            state = tuple(part.index_put((ended,), new) for part, new in zip(state, begun, strict=True))
    return lanes, state


def test_a_lane_plays_one_environment_episode_after_episode(world):
    lanes, state = lanes_at_work(world, 2 * LIMIT + 3)
    env = plain(6)
    obs, _ = env.reset()
    for action in some_actions(2 * LIMIT + 3, 2)[:, 1]:
        obs, _, terminated, truncated, _ = env.step(action.numpy()[None])
        if terminated[0] or truncated[0]:
            obs, _ = env.reset()
    assert np.array_equal(lanes.observe(state)[1], np.float32(obs[0]))


def test_lanes_that_were_saved_are_played_again_and_refused_where_they_come_out_otherwise(world):
    lanes, state = lanes_at_work(world, LIMIT + 4)
    saved = lanes.saved(tuple(part[None] for part in state))
    assert (saved["lane_episode"] == 2).all()
    other = world.replayed()
    begun = other.reset(as_uniforms([[8, 9]]))
    again = other.restored(saved, begun)
    assert torch.equal(other.observe(again), lanes.observe(state)[None])
    action = some_actions(1, 2)
    here, there = lanes.step(state, action[0], NO_DRAWS), other.step(again, action, NO_DRAWS)
    assert torch.equal(here.reward, there.reward[0])
    saved["episode_actions"][0, 1, 0] += 0.5
    with pytest.raises(ValueError, match="came to another observation when it was played again"):
        other.restored(saved, again)
