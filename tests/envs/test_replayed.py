"""Gymnasium environments whose lanes go on from update to update, and after a stop."""

import random
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from pglab.algorithms.baselines import Value
from pglab.algorithms.gaussian import Gaussian
from pglab.algorithms.heads import Softmax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import Clip
from pglab.algorithms.weightings import GeneralizedAdvantage
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.models.networks import MLP
from pglab.models.parameters import PyTorchDefault
from pglab.training.arm import Arm
from pglab.training.bundle import Bundle, Shapes
from pglab.training.reuse import Epochs
from pglab.training.rollout import Waves
from pglab.training.segments import Segments

NO_DRAWS, ADAM = torch.empty(0), partial(torch.optim.Adam, lr=1e-2)
SOFTMAX = Softmax()


class Restless(CartPoleEnv):
    """What it shows depends on more than its seed and its actions."""

    def step(self, action):
        obs, *rest = super().step(action)
        return (obs + np.float32(random.random() / 100)).astype(np.float32), *rest


gymnasium.register("Restless-v0", entry_point=Restless, max_episode_steps=30)


def bundle(seeds, id="CartPole-v1", updates=4, head=SOFTMAX):
    critic = Value(MLP((8,)), PyTorchDefault(), ADAM, fit="with_policy")
    arm = Arm(
        GeneralizedAdvantage(0.97, 0.9, critic), PyTorchDefault(), ADAM, Estimator(), Segments(3, 16), 0.97, updates,
        seeds, objective=Clip(), rule=Epochs(2, 2),
    )  # fmt: skip
    world = GymnasiumWorld(id, max_episode_steps=30)
    return Bundle(Shapes(world, head, MLP((16,)), Waves(32), torch.device("cpu")), [arm])


def rows(trained, updates, of=slice(None)):
    """Of each update the columns of some seeds, as text, in which NaN equals NaN."""
    shown = [vars(trained.step()[0][1]) for _ in range(updates)]
    return [{name: str(x[of]) for name, x in row.items() if isinstance(x, np.ndarray)} for row in shown]


def test_lanes_play_what_plain_gymnasium_plays_across_the_ends_of_episodes():
    world = GymnasiumWorld("Acrobot-v1", max_episode_steps=5).replayed()
    state = world.reset(torch.tensor([[[7.0], [8.0]]], dtype=torch.float64) / 2**32)
    for lane, seed in enumerate((7, 8)):
        env = gymnasium.make("Acrobot-v1", max_episode_steps=5)
        assert np.array_equal(world.observe(state)[0, lane], env.reset(seed=seed)[0])
    env = gymnasium.make("Acrobot-v1", max_episode_steps=5)
    env.reset(seed=7)
    for t in range(5):
        expected, reward, terminated, truncated, _ = env.step(t % 3)
        step = world.step(state, torch.tensor([[t % 3, 0]]), NO_DRAWS)
        state = step.state
        assert np.array_equal(world.observe(state)[0, 0], expected)
        assert step.truncated is not None
        assert (step.reward[0, 0], step.terminated[0, 0], step.truncated[0, 0]) == (reward, terminated, truncated)


@pytest.mark.parametrize(("id", "head"), [("CartPole-v1", SOFTMAX), ("Pendulum-v1", Gaussian("action"))])
def test_a_run_has_the_same_bits_alone_and_after_a_stop(id, head):
    made = partial(bundle, id=id, head=head)
    whole = rows(made([0, 1, 2]), 4)
    assert rows(made([0, 1, 2]), 4, slice(1, 2)) == rows(made([1]), 4)
    first, second = made([0, 1, 2]), made([0, 1, 2])
    begun = rows(first, 2)
    second.restore([{name: tensor.clone() for name, tensor in state.items()} for state in first.state()])
    assert begun + rows(second, 2) == whole


@pytest.mark.filterwarnings("ignore:.*not within the observation space")
def test_an_environment_with_a_mind_of_its_own_is_found_out_when_it_is_played_again():
    first = bundle([0], "Restless-v0")
    first.step()
    with pytest.raises(ValueError, match=r"Restless-v0 is not a function of its seed and actions.*batch=steps"):
        bundle([0], "Restless-v0").restore(first.state())
