"""An episode that is watched is one that training could have met, on streams of its own."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid, Softmax
from pglab.envs.bandit import Bandit
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.spaces import as_space
from pglab.envs.testbed import GaussianTestbed
from pglab.models.model import Model, Policy
from pglab.models.networks import MLP, Linear, Tabular
from pglab.models.parameters import Gaussian
from pglab.training.randomness import Streams, generator, stream_keys
from pglab.training.rollout import Target, Waves
from pglab.watching.episode import WatchedPolicy, line_of

CPU = torch.device("cpu")
STREAMS = ("watched_first_states", "watched_transitions", "watched_actions", "problems")


def player(world, network=None, head=None, seed=3, greedy=False):
    head = head or Softmax()
    model = Model(network or MLP((8,)), world.observation, head.width(as_space(world.actions)))
    parameters = model.draw(Gaussian(0.5), [generator(seed, "weights")], CPU)[0]
    return WatchedPolicy(world, Policy(model, head), parameters, seed, greedy)


@pytest.mark.parametrize(
    "world",
    [
        CartPole(40),
        frozen_lake(),
        corridor(horizon=30),
        Bandit([0.0, 1.0], 0.5),
        GaussianTestbed(),
        GymnasiumWorld("Acrobot-v1", None, 12),
    ],
    ids=["CartPole", "FrozenLake", "corridor", "bandit", "testbed", "Gymnasium"],
)
def test_watched_episodes_are_those_of_a_batch_on_the_same_streams(world):
    watched = player(world)
    keys = Streams.of([3], "watched_", CPU)
    goal = Target(np.array([0]), np.array([3]))
    batch = Waves(32)(world, watched.policy, watched.parameters[None], keys, goal, np.array([np.nan]))
    for number in range(3):
        moments = list(watched.episode(number))
        steps = slice(batch.start[number], batch.start[number] + batch.length[number])
        assert [moment.action for moment in moments[1:]] == batch.action[steps].tolist()
        assert [moment.reward for moment in moments[1:]] == batch.reward[steps].tolist()
        np.testing.assert_array_equal([moment.obs for moment in moments[:-1]], batch.obs[steps].numpy())
        assert [moment.t for moment in moments] == list(range(batch.length[number] + 1))
        assert moments[-1].ended == ("terminated" if batch.terminated[number] else "truncated")
        assert not any(moment.ended for moment in moments[:-1])


def test_the_first_state_is_the_episodes_own_whatever_the_policy():
    begun = [player(CartPole(), seed=seed).episode(number) for seed, number in ((3, 0), (3, 1), (4, 0))]
    first = [next(moments).obs.tolist() for moments in begun]
    assert next(player(CartPole(), MLP((4,)), Sigmoid()).episode(0)).obs.tolist() == first[0]
    assert len({tuple(obs) for obs in first}) == 3


def test_watching_uses_nothing_that_training_or_evaluation_draws_from():
    used = [name.replace("watched_", of) for name in STREAMS[:3] for of in ("watched_", "evaluation_", "")]
    assert len({int(stream_keys([3], name, CPU)) for name in used}) == len(used) == 9


def test_a_horizon_truncates_where_nothing_terminates():
    (*_, last) = player(corridor(horizon=4), Tabular()).episode()
    assert (last.t, last.ended) in {(4, "truncated"), (3, "terminated")}


@pytest.mark.parametrize("head", [Softmax(), Sigmoid(), ActionBlindSigmoid()], ids=lambda head: type(head).__name__)
def test_greedy_takes_the_action_that_is_sampled_most_often(head):
    taken = set()
    for seed in range(8):
        watched = player(CartPole(60), Linear(), head, seed, greedy=True)
        weights = watched.policy.model.layout.unflatten(watched.parameters[None])
        for before, after in pairwise(watched.episode()):
            logits = watched.policy.model(weights, torch.from_numpy(before.obs)[None, None])[0, 0]
            favour = float(logits[1] - logits[0] if isinstance(head, Softmax) else logits[0])
            if abs(favour) > 1e-3:
                assert after.action == int(favour > 0)
                taken.add(after.action)
    assert taken == {0, 1}


def test_greedy_plays_one_episode_whatever_the_uniforms_behind_the_actions():
    @dataclass(frozen=True)
    class Shifted(Softmax):
        def sample(self, logits: Tensor, uniform: Tensor) -> Tensor:
            return super().sample(logits, (uniform + 0.37) % 1.0)

    plain, shifted = (player(CartPole(), Linear(), head, greedy=True) for head in (Softmax(), Shifted()))
    assert [moment.action for moment in plain.episode()] == [moment.action for moment in shifted.episode()]


def test_a_line_says_what_was_done_and_what_is_seen_now():
    world = corridor(horizon=2)
    start, first, *_ = player(world, Tabular()).episode()
    assert line_of(start, world) == "start: state 0"
    state = int(first.state[0])
    assert line_of(first, world) == f"step 1: action {first.action}, reward -1, state {state}" + " (seen as 0)" * (
        state > 0
    )
    start, first, *_ = player(CartPole()).episode()
    assert line_of(first, CartPole()).startswith(f"step 1: action {first.action}, reward 1, sees {first.obs[0]:.4g} ")
