"""Actions that are numbers: a world and a head of one's own, played, learnt from, measured and watched."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms.losses import Estimator
from pglab.envs.spaces import Box
from pglab.envs.world import Step
from pglab.models.networks import Linear
from pglab.models.parameters import Zeros
from pglab.testing import check_env
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from pglab.watching.episode import WatchedPolicy
from tests.training.outcome import rows_of

SGD = torch.optim.SGD


class Aim:
    """Earns -(a - 2)² for an action that is a number; every episode is one step."""

    observation, actions, horizon, reset_draws, step_draws = Box(1), Box(1), 1, 0, 0

    def reset(self, uniform):
        return (torch.zeros(*uniform.shape[:-1], 1),)

    def observe(self, state):
        return state[0]

    def step(self, state, action, uniform):
        return Step(state, -(action[..., 0] - 2.0).square(), torch.ones(action.shape[:-1], dtype=torch.bool))


class Steered(Aim):
    """Steps of three numbers that each move a point a bit, and earn what is left of its distance to (1, 2, 3)."""

    observation, actions, horizon = Box(3), Box(3, (-1.0, -2.0, -3.0), (1.0, 2.0, 3.5)), 20

    def reset(self, uniform):
        return (torch.zeros(*uniform.shape[:-1], 3),)

    def step(self, state, action, uniform):
        place = state[0] + 0.1 * action
        distance = (place - torch.tensor([1.0, 2.0, 3.0])).square().sum(-1)
        return Step((place,), -distance, torch.zeros(action.shape[:-1], dtype=torch.bool))


@dataclass(frozen=True)
class Gaussian:
    """N(z, 1) for each number of a Box, from two uniforms each (Box and Muller 1958)."""

    def width(self, space):
        return space.size

    def draws(self, space):
        return 2 * space.size

    def sample(self, logits, uniform):
        radius = (-2.0 * torch.log1p(-uniform[..., :1])).sqrt()
        return logits + radius * torch.cos(2.0 * math.pi * uniform[..., 1:])

    def log_prob(self, logits, action):
        return (-0.5 * (action - logits).square() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, logits):
        return torch.full_like(logits, 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


def aiming(make_arm, make_shapes, seeds, **changes):
    plain = {"init": Zeros(), "batch": BatchSize(episodes=200), "optimizer": partial(SGD, lr=0.1), "updates": 60}
    shapes = make_shapes(world=Aim(), head=Gaussian(), network=Linear())
    return shapes, make_arm(**plain, estimator=Estimator("episodes"), seeds=seeds, **changes)


def test_a_continuous_action_is_played_learnt_from_and_evaluated(make_arm, make_shapes, train):
    shapes, arm = aiming(make_arm, make_shapes, [0, 1])
    bundle = train(shapes, [arm])
    first, last = bundle.history[0][0], bundle.history[0][-1]
    assert first.return_mean == pytest.approx(-5.0, abs=1.0)  # E (a - 2)² = 2² + 1
    assert last.return_mean == pytest.approx(-1.0, abs=0.3)  # the deviation is all that is left
    assert bundle.parameters()[0]["weight"][:, 0, 0] == pytest.approx(2.0, abs=0.2)
    assert bundle.evaluate(500)[0].returns.mean() == pytest.approx(-1.0, abs=0.3)
    shapes, alone = aiming(make_arm, make_shapes, [1])
    assert rows_of(train(shapes, [alone]), 0, 0) == rows_of(bundle, 0, 1)


def test_where_actions_are_no_index_what_counts_them_is_nan(make_arm, make_shapes):
    shapes, arm = aiming(make_arm, make_shapes, [0])
    ((_, measures),) = Bundle(shapes, [arm], GradientDiagnostics()).step()
    assert np.isfinite(measures.grad_variance).all()
    for name in ("kl", "objective", "exact_cosine", "optimal_action"):
        assert np.isnan(getattr(measures, name)).all()
    flat = torch.zeros(shapes.policy().model.layout.size)
    moments = list(WatchedPolicy(Aim(), shapes.policy(), flat, 0).episode())
    assert [type(moment.action) for moment in moments] == [type(None), list]
    greedy = list(WatchedPolicy(Aim(), shapes.policy(), flat, 0, greedy=True).episode())
    assert greedy[1].action == pytest.approx(
        [-math.sqrt(2 * math.log(2))]
    )  # Box and Muller's at (½, ½): z - √(2 log 2)


def test_a_world_with_continuous_actions_keeps_the_contract():
    check_env(Aim())


def test_a_built_in_head_refuses_actions_that_cannot_be_counted(make_shapes):
    with pytest.raises(ValueError, match=r"a softmax head needs actions that can be counted"):
        make_shapes(world=Aim()).policy()
