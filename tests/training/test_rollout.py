"""Promise: whole episodes in order of start, whoever plays them, and no bias by length."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency

from pglab.algorithms.heads import Softmax
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import FiniteMDP, corridor
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.models.model import Model, Policy
from pglab.models.networks import MLP, Tabular
from pglab.models.parameters import PyTorchDefault, Zeros
from pglab.training.randomness import Streams, generator
from pglab.training.rollout import Target, Waves

CPU = torch.device("cpu")
UNKNOWN = np.nan


def leave_with(probability, horizon=None):
    """Episodes of geometric length: each step ends one with the given probability."""
    stay_or_go = [[[1 - probability, probability]] * 2, [[0.0, 1.0]] * 2]
    return FiniteMDP(
        np.array(stay_or_go),
        reward=np.ones((2, 2, 2)),
        start=np.array([1.0, 0.0]),
        terminal=np.array([False, True]),
        horizon=horizon,
    )


def play(world, seeds, target, expected=UNKNOWN, lanes=32, network=None, init=None):
    model = Model(network or Tabular(), world.observation, world.actions.size)
    parameters = model.draw(init or Zeros(), [generator(seed, "weights") for seed in seeds], CPU)
    keys, runs = Streams.of(seeds, "", CPU), len(seeds)
    goal = Target(np.full(runs, target.get("steps", 0)), np.full(runs, target.get("episodes", 1)))
    return Waves(lanes)(world, Policy(model, Softmax()), parameters, keys, goal, np.full(runs, expected))


def sequential(lengths, steps):
    """What a sequential collector takes of a run's episodes."""
    return lengths[: np.searchsorted(np.cumsum(lengths), steps) + 1]


def by_finish(lengths, steps, lanes):
    """What a collector takes that plays in parallel lanes and accepts episodes as they finish."""
    free = np.zeros(lanes, dtype=int)
    ends = []
    for number, length in enumerate(lengths):
        lane = free.argmin()
        free[lane] += length
        ends.append((free[lane], number))
    finished = lengths[[number for _, number in sorted(ends)]]
    return sequential(finished, steps)


def histogram(batches):
    return np.bincount(np.minimum(np.concatenate(batches), 60) // 5, minlength=13)


def same_distribution(batches, reference):
    """p-value of the hypothesis that episode lengths in both have one distribution."""
    table = np.stack((histogram(batches), histogram(reference)))
    return chi2_contingency(table[:, table.sum(0) > 20]).pvalue


@pytest.mark.parametrize("expected", [UNKNOWN, 5.0])
@pytest.mark.parametrize(
    ("world", "seeds"), [(leave_with(0.1), list(range(40))), (GymnasiumWorld("FrozenLake-v1"), [0, 1])]
)
def test_a_steps_batch_is_the_shortest_prefix_of_the_episodes_in_order_of_start(world, seeds, expected):
    all_episodes = play(world, seeds, {"episodes": 64})
    batch = play(world, seeds, {"steps": 35}, expected)
    for run in range(len(seeds)):
        lengths = all_episodes.length[all_episodes.run == run]
        assert batch.length[batch.run == run].tolist() == sequential(lengths, 35).tolist()


def test_lengths_in_a_steps_batch_have_the_distribution_of_a_sequential_collector():
    seeds = list(range(4000))
    batch = play(leave_with(0.1), seeds, {"steps": 30})
    batches = np.split(batch.length, np.flatnonzero(np.diff(batch.run)) + 1)
    rng = np.random.default_rng(0)
    lengths = rng.geometric(0.1, size=(4000, 64))
    reference = [sequential(run, 30) for run in lengths]
    assert same_distribution(batches, reference) > 0.01
    # The test has teeth: acceptance in order of finish is told apart at once.
    assert same_distribution([by_finish(run, 30, lanes=8) for run in lengths], reference) < 1e-10


@pytest.mark.parametrize("expected", [1.0, 3.0, 500.0, UNKNOWN])
def test_the_guess_of_the_episode_length_changes_nothing(expected):
    network, seeds = MLP((8,)), [3, 1, 4]
    batch = play(CartPole(60), seeds, {"steps": 400}, expected, network=network, init=PyTorchDefault())
    other = play(CartPole(60), seeds, {"steps": 400}, 20.0, network=network, init=PyTorchDefault())
    for name, value in vars(batch).items():
        assert np.array_equal(value, getattr(other, name)), name


def test_the_number_of_lanes_changes_no_episode():
    few = play(corridor(200), [0, 1], {"steps": 700}, lanes=32)
    many = play(corridor(200), [0, 1], {"steps": 700}, lanes=96)
    assert few.length.tolist() == many.length.tolist()
    assert few.action.tolist() == many.action.tolist()


class Heavy(GymnasiumWorld):
    most_lanes = 40

    def prepare(self, begins):
        self.most = max(getattr(self, "most", 0), int(begins.sum()))
        super().prepare(begins)


@pytest.mark.parametrize("target", [{"episodes": 50}, {"steps": 300}])
def test_a_heavy_world_plays_few_episodes_at_once_and_the_same(target):
    seeds, heavy = [3, 1, 4], Heavy("FrozenLake-v1")
    few, all_at_once = (play(world, seeds, target) for world in (heavy, GymnasiumWorld("FrozenLake-v1")))
    assert 32 <= heavy.most <= 40
    for name, value in vars(few).items():
        assert np.array_equal(value, getattr(all_at_once, name)), name


def test_an_episodes_batch_has_exactly_as_many():
    batch = play(leave_with(0.3), [0, 1, 2], {"episodes": 45})
    assert np.bincount(batch.run).tolist() == [45, 45, 45]


def test_the_horizon_truncates_and_only_then():
    batch = play(leave_with(0.05, horizon=20), list(range(200)), {"episodes": 5})
    assert (batch.length <= 20).all()
    assert batch.truncated.tolist() == (batch.length == 20).tolist()
    assert batch.terminated[batch.length < 20].all()
    both = batch.terminated & batch.truncated
    assert both.sum() / batch.truncated.sum() == pytest.approx(0.05, abs=0.03)


def test_the_last_observation_of_a_truncated_episode_follows_its_last_step():
    batch = play(CartPole(8), [0], {"episodes": 40}, network=MLP((8,)), init=PyTorchDefault())
    assert batch.truncated.any()
    for episode in np.flatnonzero(batch.truncated):
        last = batch.obs[batch.start[episode] + 7].double()
        x, x_dot, theta, theta_dot = last
        expected_x, expected_theta = x + 0.02 * x_dot, theta + 0.02 * theta_dot
        assert batch.last_obs[episode, 0].item() == pytest.approx(expected_x.item(), abs=1e-6)
        assert batch.last_obs[episode, 2].item() == pytest.approx(expected_theta.item(), abs=1e-6)


def test_packed_steps_are_each_episodes_own_in_order():
    batch = play(CartPole(60), [0, 1], {"steps": 300}, network=MLP((8,)), init=PyTorchDefault())
    assert len(batch.reward) == batch.length.sum() + 1
    assert batch.returns().tolist() == batch.length.tolist()
    for start, length in zip(batch.start, batch.length, strict=True):
        x, x_dot = batch.obs[start : start + length, 0].double(), batch.obs[start : start + length, 1].double()
        assert torch.allclose(x[1:], x[:-1] + 0.02 * x_dot[:-1], atol=1e-6)
        assert batch.obs[start].abs().max() < 0.05


def test_selecting_keeps_whole_episodes():
    batch = play(leave_with(0.2), [0, 1, 2], {"steps": 50})
    long = batch.select(batch.length >= 5)
    assert long.length.tolist() == [length for length in batch.length if length >= 5]
    assert long.returns().tolist() == long.length.tolist()
