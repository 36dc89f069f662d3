"""Segments: pieces of episodes, and what a critic continues at their borders."""

from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.envs.cartpole import CartPole
from pglab.envs.problems import random_mdp
from pglab.models.networks import MLP, Tabular
from pglab.models.parameters import Gaussian, PyTorchDefault
from pglab.training.bundle import Bundle
from pglab.training.segments import Segments

SGD = torch.optim.SGD


def gae(gamma):
    return w.GeneralizedAdvantage(gamma, 0.9, b.Value(MLP((8,)), PyTorchDefault(), partial(SGD, lr=1e-2)))


def test_segments_cut_at_the_border_are_the_same_episodes_as_one_long_segment(make_arm, make_shapes):
    # A policy that stays as it is plays the same actions however its steps are cut, but for the keys of updates:
    # so within one update, pieces are whole episodes but for the first and the last of a lane.
    frozen = {"optimizer": partial(SGD, lr=0.0), "weighting": gae(0.97), "gamma": 0.97}
    bundle = Bundle(make_shapes(world=CartPole(20)), [make_arm(**frozen, batch=Segments(2, 50), updates=3)])
    earned, steps = np.zeros(2), np.zeros(2, dtype=int)
    for _ in range(3):
        played = bundle._play(bundle._arms)
        lane = played.start // 50
        assert played.length.sum() == 100
        assert (played.ended == (played.terminated | played.truncated)).all()
        assert (
            np.flatnonzero(played.cut)
            == [np.flatnonzero(lane == n).max() for n in (0, 1) if played.cut[lane == n].any()]
        ).all()
        for piece in range(len(played.run)):
            own = lane[piece]
            earned[own] += played.length[piece]  # every reward is 1
            steps[own] += played.length[piece]
            assert played.returns()[piece] == earned[own]
            assert played.lengths()[piece] == steps[own] <= 20
            assert played.truncated[piece] == (steps[own] == 20)
            if played.ended[piece]:
                earned[own] = steps[own] = 0
        bundle._runs.update[:] += 1


def test_an_advantage_is_continued_by_the_critic_at_the_border_and_not_at_an_end(make_arm, make_shapes):
    gamma, lam = 0.9, 0.8
    weighting = w.GeneralizedAdvantage(gamma, lam, b.Value(Tabular(), Gaussian(1.0), partial(SGD, lr=0.1), 1))
    estimator = Estimator(reduction="sum", truncation="bootstrap")
    # Several kinds of states, so that one observation is not as good as another.
    shapes = make_shapes(world=random_mdp(1, states=4, actions=2, end=0.1, horizon=7), network=Tabular())
    bundle = Bundle(shapes, [make_arm(weighting=weighting, gamma=gamma, batch=Segments(2, 12), estimator=estimator)])
    (trainee,) = bundle._arms
    played = bundle._play(bundle._arms)
    values = trainee.weigher._values(played.run, played.length, played.obs)[:-1].double()
    ends = trainee.weigher.critic.values(torch.zeros(len(played.run), dtype=torch.int64), played.last_obs[:, None])[
        :, 0
    ]
    psi = torch.zeros_like(played.reward)
    trainee.weigher.weigh(played, psi)
    for start, length, terminated, end in zip(played.start, played.length, played.terminated, ends, strict=True):
        after = 0.0 if terminated else float(end)
        advantage = 0.0
        for t in reversed(range(start, start + length)):
            following = after if t == start + length - 1 else float(values[t + 1])
            delta = float(played.reward[t]) + gamma * following - float(values[t])
            advantage = delta + gamma * lam * advantage
            assert float(psi[t]) == pytest.approx(advantage, rel=1e-5, abs=1e-5)
    assert played.terminated.any()
    assert (played.truncated & ~played.terminated).any()
    assert played.cut.any()


def test_the_last_observation_of_a_piece_is_the_one_after_its_last_step(make_arm, make_shapes):
    world = CartPole(20)
    arm = make_arm(weighting=gae(0.97), gamma=0.97, batch=Segments(3, 50), seeds=[0, 1])
    bundle = Bundle(make_shapes(world=world), [arm])
    played = bundle._play(bundle._arms)
    continued = (played.truncated | played.cut) & ~played.terminated  # of what ended, nobody asks
    last = played.last[continued]
    no_luck = torch.zeros(len(last), world.step_draws)
    after = world.step(tuple(played.obs[last].T), played.action[last], no_luck).state
    torch.testing.assert_close(played.last_obs[continued], torch.stack(after, -1))
    assert played.cut.any()
    assert (played.truncated & ~played.terminated).any()
    assert played.terminated.any()
