import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.world import Box, Discrete

IDS = ["Acrobot-v1", "FrozenLake-v1", "MountainCar-v0", "Pendulum-v1"]
NO_DRAWS = torch.empty(0)


def seeds_as_uniforms(seeds):
    """The uniforms `[B, C, 1]` from which a world resets with the given 32-bit seeds."""
    return torch.tensor(seeds, dtype=torch.float64)[..., None] / 2**32


def random_actions(world, *shape):
    generator = torch.Generator().manual_seed(0)
    if isinstance(world.actions, Box):
        return torch.randn(*shape, *world.actions.shape, generator=generator)
    return torch.randint(0, world.actions.size, shape, generator=generator)


def plain_episode(id, seed, actions, **kwargs):
    """Observations (first state included), rewards, and flags of one episode of `gymnasium.make`."""
    env = gymnasium.make(id, **kwargs)
    observations, played = [env.reset(seed=seed)[0]], []
    for action in actions:
        taken = int(action) if isinstance(env.action_space, spaces.Discrete) else action.numpy()
        observation, reward, terminated, truncated, _ = env.step(taken)
        observations.append(observation)
        played.append((reward, terminated, truncated))
        if terminated or truncated:
            break
    env.close()
    return np.array(observations, dtype=np.float32).reshape(len(observations), -1), np.array(played, dtype=np.float32)


def play(world, state, actions):
    """Observations `[T + 1, B, C, D]` and `(reward, terminated, truncated)` `[T, B, C, 3]`."""
    observations, played = [world.observe(state)], []
    for action in actions:
        step = world.step(state, action, NO_DRAWS)
        state = step.state
        observations.append(world.observe(state))
        played.append(torch.stack((step.reward, step.terminated, step.truncated), -1))
    return torch.stack(observations).numpy(), torch.stack(played).numpy()


@pytest.mark.parametrize("id", IDS)
def test_every_lane_plays_what_plain_gymnasium_plays_and_then_stands_still(id):
    world, seeds = GymnasiumWorld(id), [[3, 2**32 - 1], [41, 0]]
    actions = random_actions(world, world.horizon + 3, 2, 2)
    observations, played = play(world, world.reset(seeds_as_uniforms(seeds)), actions)
    lengths = set()
    for b in range(2):
        for c in range(2):
            expected_observations, expected = plain_episode(id, seeds[b][c], actions[:, b, c])
            n = len(expected)
            lengths.add(n)
            np.testing.assert_array_equal(observations[: n + 1, b, c], expected_observations)
            np.testing.assert_array_equal(played[:n, b, c], expected)
            assert expected[-1, 1:].any()  # an episode that ended, within the horizon
            assert (observations[n + 1 :, b, c] == observations[n, b, c]).all()
            assert not played[n:, b, c, 0].any()
    assert id != "FrozenLake-v1" or len(lengths) > 1  # lanes that stood still while others went on
    world.close()


def test_an_episode_is_cut_where_gymnasium_cuts_it():
    world = GymnasiumWorld("MountainCar-v0", {"max_episode_steps": 7})
    _, played = play(world, world.reset(seeds_as_uniforms([[1]])), torch.ones(7, 1, 1, dtype=torch.int64))
    assert world.horizon == 7
    assert played[:, 0, 0].tolist() == [[-1.0, 0.0, 0.0]] * 6 + [[-1.0, 0.0, 1.0]]


def test_a_second_reset_begins_afresh():
    world = GymnasiumWorld("FrozenLake-v1")
    actions = random_actions(world, 100, 2, 3)
    first = seeds_as_uniforms([[1, 2, 3], [4, 5, 6]])
    once = play(world, world.reset(first), actions)
    play(world, world.reset(seeds_as_uniforms([[7, 8, 9]])), actions[:, :1])
    again = play(world, world.reset(first), actions)
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one, other)
    world.close()


def test_banks_play_on_alone_when_others_are_dropped():
    world = GymnasiumWorld("Acrobot-v1")
    actions, seeds = random_actions(world, 30, 3, 2), seeds_as_uniforms([[1, 2], [3, 4], [5, 6]])
    observations, played = play(world, world.reset(seeds), actions)
    state = world.reset(seeds)
    for action in actions[:10]:
        state = world.step(state, action, NO_DRAWS).state
    kept = torch.tensor([2, 0])
    state = tuple(part.index_select(0, kept) for part in state)
    later_observations, later = play(world, state, actions[10:, kept])
    np.testing.assert_array_equal(later_observations, observations[10:, kept])
    np.testing.assert_array_equal(later, played[10:, kept])
    world.close()


def test_the_number_of_lanes_may_change_between_resets_and_changes_no_episode():
    world = GymnasiumWorld("Acrobot-v1")
    actions = random_actions(world, 20, 2, 3)
    wide = play(world, world.reset(seeds_as_uniforms([[1, 2, 3], [4, 5, 6]])), actions)
    narrow = play(world, world.reset(seeds_as_uniforms([[2, 3]])), actions[:, :1, 1:])
    for one, other in zip(wide, narrow, strict=True):
        np.testing.assert_array_equal(one[:, :1, 1:], other)
    world.close()


class Shifted(gymnasium.Env):
    """Observations 5, 6, 7 and actions -1, 0: what is seen is 5 plus the number of actions of 0."""

    observation_space = spaces.Discrete(3, start=5)
    action_space = spaces.Discrete(2, start=-1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._seen = 5
        return self._seen, {}

    def step(self, action):
        self._seen += int(action) + 1
        return self._seen, float(action), self._seen == 7, False, {}


class Image(gymnasium.Env):
    """Two by three pixels, all of them `brightness`."""

    observation_space = spaces.Box(0, 255, (2, 3), np.uint8)
    action_space = spaces.Discrete(2)

    def __init__(self, brightness=1):
        self._pixels = np.full((2, 3), brightness, dtype=np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._pixels, {}

    def step(self, action):
        return self._pixels, 0.0, False, False, {}


class Pairs(Image):
    """Two choices at a time."""

    action_space = spaces.MultiDiscrete([2, 3])


@pytest.fixture
def registered():
    for env in (Shifted, Image, Pairs):
        gymnasium.register(f"{env.__name__}-v0", entry_point=env)
    yield
    for env in (Shifted, Image, Pairs):
        gymnasium.registry.pop(f"{env.__name__}-v0")


@pytest.mark.usefixtures("registered")
def test_symbols_and_actions_are_counted_from_zero_wherever_the_environment_starts_them():
    world = GymnasiumWorld("Shifted-v0")
    assert (world.observation, world.actions, world.horizon) == (Discrete(3), Discrete(2), None)
    actions = torch.tensor([0, 1, 0, 1])[:, None, None]
    observations, played = play(world, world.reset(seeds_as_uniforms([[1]])), actions)
    assert observations[:, 0, 0, 0].tolist() == [0, 0, 1, 1, 2]
    assert played[:, 0, 0].tolist() == [[-1, 0, 0], [0, 0, 0], [-1, 0, 0], [0, 1, 0]]
    world.close()


@pytest.mark.usefixtures("registered")
def test_a_picture_is_observed_as_a_row_of_its_bytes_and_further_arguments_reach_the_environment():
    world = GymnasiumWorld("Image-v0", {"brightness": 200})
    assert world.observation == Box((1, 2, 3), dtype=torch.uint8)
    observed = world.observe(world.reset(seeds_as_uniforms([[1, 2]])))
    assert torch.equal(observed, torch.full((1, 2, 6), 200, dtype=torch.uint8))
    world.close()


@pytest.mark.parametrize(
    ("id", "observation", "actions", "horizon"),
    [
        ("Acrobot-v1", Box(6), Discrete(3), 500),
        ("FrozenLake-v1", Discrete(16), Discrete(4), 100),
        ("MountainCar-v0", Box(2), Discrete(3), 200),
        ("CliffWalking-v1", Discrete(48), Discrete(4), None),
        ("Pendulum-v1", Box(3), Box(1, -2.0, 2.0), 200),
    ],
)
def test_the_world_says_what_the_environment_is(id, observation, actions, horizon):
    world = GymnasiumWorld(id)
    assert (world.observation, world.actions, world.horizon) == (observation, actions, horizon)
    assert (world.reset_draws, world.step_draws) == (1, 0)


@pytest.mark.parametrize(
    ("id", "kwargs", "message"),
    [
        ("Pairs-v0", {}, "has action space MultiDiscrete.*only Discrete and Box action spaces are supported"),
        ("Blackjack-v1", {}, "has observation space Tuple.*only Box and Discrete are supported"),
        ("NoSuchThing-v0", {}, "Gymnasium cannot make 'NoSuchThing-v0'"),
        ("no_such_module:Thing-v0", {}, "Gymnasium cannot make 'no_such_module:Thing-v0'"),
        ("Acrobot-v1", {"speed": 3}, "Gymnasium cannot make 'Acrobot-v1': .*speed"),
        ("FrozenLake-v1", {"map_name": "5x5"}, "Gymnasium cannot make 'FrozenLake-v1'"),
    ],
)
@pytest.mark.usefixtures("registered")
def test_an_environment_that_cannot_be_played_is_refused_with_the_reason(id, kwargs, message):
    with pytest.raises(ValueError, match=message):
        GymnasiumWorld(id, kwargs)


class Held(gymnasium.Env):
    """Takes note of how often it is made and begun."""

    observation_space, action_space, made, begun = spaces.Box(-1, 1, (2,)), spaces.Discrete(2), 0, 0

    def __init__(self):
        type(self).made += 1

    def reset(self, *, seed=None, options=None):
        type(self).begun += 1
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.ones(2, np.float32), 1.0, False, False, {}


def test_lanes_that_will_not_be_played_are_neither_made_nor_begun():
    gymnasium.register("Held-v0", entry_point=Held)
    try:
        world = GymnasiumWorld("Held-v0")  # makes one, to look at it
        world.prepare(torch.tensor([[True, False, False, True]]))
        state = world.reset(seeds_as_uniforms([[1, 2, 3, 4]]))
        step = world.step(state, torch.zeros(1, 4, dtype=torch.int64), torch.empty(0))
        assert step.reward.tolist() == [[1.0, 0.0, 0.0, 1.0]]
        assert (Held.made, Held.begun) == (3, 2)
        world.reset(seeds_as_uniforms([[1, 2, 3, 4]]))
        assert (Held.made, Held.begun) == (5, 6)
        world.close()
    finally:
        gymnasium.registry.pop("Held-v0")
