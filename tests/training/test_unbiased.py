"""The real pipeline (collector, weighting, loss, autograd) against exact mean and variance."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pglab.algorithms import weightings as w
from pglab.algorithms.baselines import Constant
from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid, Softmax
from pglab.algorithms.losses import Estimator
from pglab.envs.finite import corridor
from pglab.envs.problems import random_mdp
from pglab.exact import estimators as exact
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.policy import policy_on, policy_table, score_table
from pglab.models.networks import Tabular
from pglab.models.parameters import Gaussian, Zeros
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.gradient import Weights, policy_gradient
from pglab.training.weigh import Weigher
from tests.slow import first

EPISODES = 25_000


def one_episode_estimates(make_arm, make_shapes, world, head, **changes):
    """∇J estimated from each of many episodes alone `[EPISODES, P]`, and the policy's parameters."""
    shapes = make_shapes(world=world, network=Tabular(), head=head)
    policy = shapes.policy()
    estimator = Estimator(reduction="sum", discount_states=changes.get("discount_states", False))
    changes = {key: value for key, value in changes.items() if key != "discount_states"}
    one = make_arm(batch=BatchSize(episodes=EPISODES), estimator=estimator, **changes)
    bundle = Bundle(shapes, [one])
    parameters, episodes = bundle._runs.parameters, bundle._play(bundle._arms)
    apart = replace(episodes, run=np.arange(EPISODES))  # each episode as the batch of a run of its own
    every, psi = replace(one, seeds=list(range(EPISODES))), torch.zeros_like(episodes.reward)
    Weigher(every, slice(0, EPISODES), world.observation, shapes.device).weigh(apart, psi)
    weights = Weights(psi, torch.zeros(EPISODES), *torch.ones(2, EPISODES))
    estimate = policy_gradient(policy, parameters.expand(EPISODES, -1), apart, weights)
    size = sum(int(np.prod(shape)) for shape in policy.model.layout.shapes.values())
    named = {name: value[0] for name, value in policy.model.layout.unflatten(parameters).items()}
    return -estimate.gradient[:, :size].double().numpy(), named


WEIGHTINGS = {
    "total": (w.TotalReturn, lambda *a, d: exact.total_return(*a)),
    "rtg": (w.RewardToGo, lambda *a, d: exact.reward_to_go(*a, discount_states=d)),
    "rtg - 3": (
        lambda gamma: w.ReturnMinusBaseline(gamma, Constant(3.0)),
        lambda *a, d: exact.reward_to_go(*a, baseline=3.0, discount_states=d),
    ),
    "gae": (
        lambda gamma: w.GeneralizedAdvantage(gamma, 0.5, Constant(-2.0)),
        lambda *a, d: exact.gae(*a, lam=0.5, value=-2.0, discount_states=d),
    ),
}


@pytest.mark.parametrize("name", first(2, WEIGHTINGS))
@pytest.mark.parametrize(
    ("world", "head", "init", "gamma", "discount_states"),
    [
        (corridor(), Sigmoid(), Zeros(), 1.0, False),
        (corridor(horizon=6), Sigmoid(), Gaussian(1.0), 0.9, True),
        (random_mdp(1, states=4, actions=3, horizon=8), Softmax(), Gaussian(1.0), 0.8, True),
    ],
    ids=["corridor", "corridor, 6 steps", "random"],
)
def test_estimates_have_the_exact_mean_and_variance(
    make_arm, make_shapes, name, world, head, init, gamma, discount_states
):
    weighting, moments = WEIGHTINGS[name]
    estimates, named = one_episode_estimates(
        make_arm, make_shapes, world, head,
        weighting=weighting(gamma), init=init, gamma=gamma, discount_states=discount_states,
    )  # fmt: skip
    policy = policy_on(world, Tabular(), head)
    truth = moments(
        world, policy_table(world, policy, named), score_table(world, policy, named), gamma, d=discount_states
    )
    standard_error = np.sqrt(np.diag(truth.covariance) / EPISODES)
    assert (np.abs(estimates.mean(0) - truth.mean) <= 4 * standard_error + 1e-6).all()
    assert np.trace(np.atleast_2d(np.cov(estimates.T))) == pytest.approx(truth.variance, rel=0.05)


def test_the_action_blind_head_is_caught(make_arm, make_shapes):
    world = corridor()
    estimates, named = one_episode_estimates(
        make_arm, make_shapes, world, ActionBlindSigmoid(), weighting=w.RewardToGo(1.0), init=Zeros()
    )
    policy = policy_on(world, Tabular(), Sigmoid())
    truth = gradient_by_theorem(world, policy_table(world, policy, named), score_table(world, policy, named), 1.0)
    error = estimates.mean(0) - truth
    assert truth == pytest.approx([2.0])
    assert np.abs(error) > 20 * estimates.std(0) / np.sqrt(EPISODES)
