"""Atari's games: what a policy sees of them, episodes as functions of seed and actions, and "Pong from pixels"."""

import os
from functools import partial
from importlib.util import find_spec

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.seeding import np_random
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from pglab.algorithms.baselines import Value
from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import Clip
from pglab.algorithms.points import PointReturns
from pglab.algorithms.weightings import GeneralizedAdvantage
from pglab.envs.atari import AtariWorld
from pglab.models.convolutions import Conv
from pglab.models.networks import WithoutBias
from pglab.models.parameters import LecunNormal, PyTorchDefault
from pglab.training.arm import Arm, BatchSize
from pglab.training.bundle import Bundle, Shapes
from pglab.training.reuse import Epochs
from pglab.training.rollout import Waves
from pglab.training.segments import Segments

pytestmark = pytest.mark.skipif(
    find_spec("ale_py") is None and "CI" not in os.environ,
    reason='the Arcade Learning Environment is not installed: pip install "pglab[atari]"',
)
PONG = {
    "frame_skip": [2, 5], "sticky": 0.25, "noops": 0, "life_as_episode": False, "fire": False, "grey": False,
    "crop": [35, 195], "stride": 2, "size": None, "background": [0, 144, 109], "difference": True, "stack": 1,
    "buttons": [3, 2],
}  # fmt: skip
CPU, ADAM = torch.device("cpu"), partial(torch.optim.Adam, lr=1e-3)


def played(env, seed, actions):
    """All observations and rewards."""
    seen, rewards = [env.reset(seed=seed)[0]], []
    for action in actions:
        observation, reward, *_ = env.step(action)
        seen.append(np.array(observation))
        rewards.append(reward)
    return np.stack(seen), rewards


def as_published(picture):
    """The picture of 210 × 160 × 3 as 80 × 80 zeros and ones: "Pong from pixels"."""
    court = picture[35:195].astype(float)[::2, ::2, 0]
    court[(court == 144) | (court == 109)] = 0
    court[court != 0] = 1
    return court


def emulated(id, seed, actions, skip, sticky):
    """Pictures and rewards by the emulator, frame by frame; frames are repeated and skipped by draws from the seed."""
    env, random = gymnasium.make(id, frameskip=1, repeat_action_probability=0.0), np_random(seed)[0]
    env.reset(seed=0)
    pictures, rewards, last = [env.step(0)[0]], [], 0
    for action in actions:
        rewards.append(0.0)
        for _ in range(random.integers(*skip)):
            last = last if random.random() < sticky else action
            picture, reward, *_ = env.step(last)
            rewards[-1] += reward
        pictures.append(picture)
    return pictures, rewards


def test_what_is_seen_of_pong_is_what_was_published():
    actions = np.random.default_rng(0).integers(2, size=120)
    world = AtariWorld("Pong", **PONG)
    ours, rewards = played(world.make(), 5, actions)
    pictures, plain_rewards = emulated("ALE/Pong-v5", 5, [[3, 2][action] for action in actions], (2, 5), 0.25)
    shown = np.stack([as_published(picture) for picture in pictures])
    assert rewards == plain_rewards
    assert any(rewards)
    assert not ours[0].any()
    assert np.array_equal(ours[1:], shown[1:] - shown[:-1])
    assert (world.observation.axes, world.observation.dtype) == ((1, 80, 80), torch.int8)


def test_a_game_is_the_same_after_any_other_and_with_another_seed_another():
    env = AtariWorld("Seaquest", sticky=0.25, fire=False).make()
    actions = np.random.default_rng(1).integers(18, size=90)
    first, other, again = (played(env, seed, actions)[0] for seed in (3, 4, 3))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_by_default_it_is_what_gymnasium_prepares():
    world = AtariWorld("Pong", fire=False, noops=0)
    actions = np.random.default_rng(1).integers(6, size=40)
    ours, _ = played(world.make(), 3, actions)
    plain = gymnasium.make("ALE/Pong-v5", frameskip=1, repeat_action_probability=0.0)
    plain = AtariPreprocessing(_Later(plain), noop_max=0, frame_skip=4, screen_size=84, terminal_on_life_loss=True)
    theirs, _ = played(FrameStackObservation(plain, 4), 3, actions)
    assert np.array_equal(ours, theirs)
    assert (world.observation.axes, world.observation.dtype) == ((4, 84, 84), torch.uint8)
    fired, waiting = (played(AtariWorld("Breakout", fire=fire).make(), 3, [0] * 5)[0] for fire in (True, False))
    assert not np.array_equal(fired, waiting)  # there is a ball


class _Later(gymnasium.Wrapper):
    """Begins a frame later."""

    def reset(self, **kwargs):
        self.env.reset(**kwargs)
        observation, *_, info = self.env.step(0)
        return observation, info


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id": "Ping"}, "id=Ping is no game; there are Adventure"),
        ({"buttons": [9]}, r"buttons=\[9\] must be some of \[0, 1, 2, 3, 4, 5\]: NOOP, FIRE"),
        ({"difference": True}, "needs a background"),
        ({"difference": True, "background": [0]}, "set stack=1"),
        ({"size": None}, "go with a size"),
        ({"crop": [1, 5]}, "go with size=null"),
        ({"frame_skip": [2, 5]}, "goes with size=null"),
        ({"stack": 0}, "stack=0 must be at least 1"),
        ({"sticky": 1.0}, "sticky=1.0 must be at least 0 and below 1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AtariWorld(**{"id": "Pong", **settings})


def test_the_estimate_is_that_of_the_published_formulas():
    arm = Arm(
        PointReturns(0.99), LecunNormal(), partial(torch.optim.RMSprop, lr=1e-4, alpha=0.99, eps=1e-5),
        Estimator("sum"), BatchSize(episodes=2), 0.99, 1, [3],
    )  # fmt: skip
    world = AtariWorld("Pong", max_episode_steps=150, **PONG)
    bundle = Bundle(Shapes(world, Sigmoid(), WithoutBias((200,), "relu"), Waves(32), CPU), [arm])
    before = {name: part[0].astype(float) for name, part in bundle.parameters()[0].items()}
    episodes = bundle._play(bundle._arms)
    gradients = {name: np.zeros_like(part) for name, part in before.items()}
    for start, length in zip(episodes.start, episodes.length, strict=True):
        own = slice(start, start + length)
        x, up, reward = (
            np.asarray(part[own], dtype=float) for part in (episodes.obs, episodes.action, episodes.reward)
        )
        hidden = np.maximum(x @ before["weight_1"].T, 0)
        probability = 1 / (1 + np.exp(-hidden @ before["weight_2"][0]))
        returns, running = np.zeros(length), 0.0
        for t in reversed(range(length)):
            running = reward[t] if reward[t] != 0 else 0.99 * running
            returns[t] = running
        returns = (returns - returns.mean()) / returns.std()
        slope = (up - probability) * returns
        gradients["weight_2"] += slope[None] @ hidden
        gradients["weight_1"] += (slope[:, None] * before["weight_2"] * (hidden > 0)).T @ x
    bundle.step()
    after = bundle.parameters()[0]
    for name, gradient in gradients.items():
        moved = 1e-4 * gradient / (np.sqrt(0.01 * gradient**2) + 1e-5)
        large = np.abs(gradient) > 1e-3 * np.abs(gradient).max()  # elsewhere RMSProp makes much of rounding
        assert large.sum() > 100
        np.testing.assert_allclose((after[name][0] - before[name])[large], moved[large], rtol=2e-3)


def on_breakout(seeds, updates=2):
    critic = Value(Conv([[4, 8, 8]], []), PyTorchDefault(), ADAM, fit="with_policy")
    arm = Arm(
        GeneralizedAdvantage(0.99, 0.95, critic), PyTorchDefault(), ADAM, Estimator(), Segments(2, 8), 0.99, updates,
        seeds, objective=Clip(), rule=Epochs(1, 2),
    )  # fmt: skip
    shapes = Shapes(AtariWorld("Breakout", max_episode_steps=10), Softmax(), Conv([[4, 8, 8]], [8]), Waves(32), CPU)
    return Bundle(shapes, [arm])


@pytest.mark.slow
def test_games_in_lanes_go_on_with_the_same_bits_after_a_stop():
    straight, stopped, resumed = on_breakout([4]), on_breakout([4]), on_breakout([4])
    straight.step()
    straight.step()
    stopped.step()
    resumed.restore([{name: part.clone() for name, part in state.items()} for state in stopped.state()])
    resumed.step()
    for name, expected in straight.parameters()[0].items():
        assert np.array_equal(resumed.parameters()[0][name], expected)
