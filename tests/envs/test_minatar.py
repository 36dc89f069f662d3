"""MinAtar's games: what a policy sees of them, and episodes as functions of seed and actions."""

import os
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from pglab.envs.minatar import POINT, MinAtarWorld
from pglab.models.convolutions import Conv

pytestmark = pytest.mark.skipif(
    find_spec("minatar") is None and "CI" not in os.environ,
    reason='MinAtar is not installed: pip install "pglab[minatar]"',
)
GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")


def plainly(game, seed, actions, sticky=0.1, ramping=True):
    """Observations `[T, 10, 10, n]` and rewards of an episode that is played by nothing but MinAtar."""
    import minatar

    env = minatar.Environment(game, sticky_action_prob=sticky, difficulty_ramping=ramping)
    env.seed(seed)
    env.reset()
    minimal, seen, rewards = env.minimal_action_set(), [env.state()], []
    for action in actions:
        reward, ended = env.act(minimal[action])
        seen.append(env.state())
        rewards.append(reward)
        if ended:
            break
    return np.stack(seen), rewards


def played(env, seed, actions):
    seen, rewards = [env.reset(seed=seed)[0]], []
    for action in actions:
        observation, reward, ended, *_ = env.step(action)
        seen.append(observation)
        rewards.append(reward)
        if ended:
            break
    return np.stack(seen), rewards


@pytest.mark.parametrize("game", GAMES)
def test_it_is_minatars_own_game_also_after_others(game):
    world = MinAtarWorld(game.title().replace("_", ""), sticky=0.5)
    env = world.make()
    for seed in range(8):
        actions = np.random.default_rng(seed).integers(world.actions.size, size=300).tolist()
        theirs, rewards = plainly(game, seed, actions, sticky=0.5)
        seen, own = played(env, seed, actions)
        assert own == rewards
        assert np.array_equal(seen, np.moveaxis(theirs, -1, 1))
    assert (world.observation.axes, world.observation.dtype) == ((theirs.shape[-1], 10, 10), torch.int8)


def test_settings_reach_the_game():
    actions = np.random.default_rng(0).integers(4, size=300).tolist()
    plain, _ = played(MinAtarWorld("SpaceInvaders", sticky=0.0, ramping=False).make(), 0, actions)
    assert np.array_equal(plain, np.moveaxis(plainly("space_invaders", 0, actions, 0.0, False)[0], -1, 1))
    assert not np.array_equal(plain, played(MinAtarWorld("SpaceInvaders").make(), 0, actions)[0])
    assert MinAtarWorld("Breakout").actions.size == 3
    assert MinAtarWorld("Breakout", minimal=False).actions.size == 6


def test_a_film_shows_every_point():
    drawing = MinAtarWorld("Breakout").drawing("rgb_array")
    state = drawing.world.reset(torch.zeros(1, 1, 1, dtype=torch.float64))
    picture = drawing.picture(state, None)
    shown = state[1].reshape(-1, 10, 10).any(0).numpy()
    assert picture.dtype == np.uint8
    assert np.array_equal(picture.any(-1), shown.repeat(POINT, 0).repeat(POINT, 1))
    drawing.close()


def test_a_network_for_large_images_says_which_is_for_small_ones():
    with pytest.raises(ValueError, match=r"do not fit what layer 2 sees of .*, 1 × 1; take .*network=conv_minatar"):
        Conv().shapes(MinAtarWorld("Breakout").observation, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id": "Pong"}, "id=Pong is no game; there are Asterix, Breakout, Freeway, Seaquest, SpaceInvaders$"),
        ({"sticky": 1.0}, "sticky=1.0 must be at least 0 and below 1"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MinAtarWorld(**{"id": "Breakout", **settings})


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "minatar", None)
    with pytest.raises(ValueError, match=r'pip install "pglab\[minatar\]"'):
        MinAtarWorld("Breakout")
