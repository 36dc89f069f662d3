"""What an arm says of itself: its discount, the factor γ^t and its biases."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import weightings as w
from pglab.algorithms.baselines import BatchMean, Constant, NoBaseline, Value
from pglab.algorithms.losses import Estimator
from pglab.envs.finite import corridor
from pglab.models.networks import Tabular
from pglab.models.parameters import Zeros
from pglab.training.arm import BatchSize
from pglab.training.segments import Segments

DROPPED = "the factor γ^t is dropped"


@dataclass(frozen=True)
class Own:
    """A user's own weighting: a constant for every step."""

    gamma: float = 0.5

    def __call__(self, batch):
        return torch.where(batch.mask, 3.0, 0.0).to(batch.reward)


def test_two_discounts_are_refused(make_arm):
    with pytest.raises(ValueError, match=r"gamma=1.0 and weighting.gamma=0.9 differ, .* set gamma=0.9"):
        make_arm(weighting=w.RewardToGo(0.9))
    assert make_arm(weighting=w.RewardToGo(0.9), gamma=0.9).gamma == 0.9


@pytest.mark.parametrize("weighting", [w.RewardToGo(0.9), w.ReturnMinusBaseline(0.9, NoBaseline()), Own(0.9)], ids=repr)
def test_the_factor_that_is_dropped_is_declared_where_there_is_one(make_arm, weighting):
    def bias(discount_states, gamma):
        own = type(weighting)(**{**vars(weighting), "gamma": gamma})
        estimator = Estimator("episodes", discount_states=discount_states)
        return make_arm(weighting=own, gamma=gamma, estimator=estimator, batch=BatchSize(episodes=2)).bias

    assert bias(False, 0.9) == (DROPPED,)
    assert bias(True, 0.9) == bias(False, 1.0) == bias(True, 1.0) == ()


@pytest.mark.parametrize(
    "weighting", [w.TotalReturn(0.9), w.ReturnMinusBaseline(0.9, Constant(1.0), "total")], ids=repr
)
def test_a_weighting_that_is_discounted_from_the_start_drops_nothing(make_arm, weighting):
    for discount_states in (False, True):
        estimator = Estimator("episodes", discount_states=discount_states)
        assert make_arm(weighting=weighting, gamma=0.9, estimator=estimator, batch=BatchSize(episodes=2)).bias == ()


def test_every_part_declares_its_own_bias(make_arm):
    arm = make_arm(weighting=w.GeneralizedAdvantage(0.9, 0.5, BatchMean()), gamma=0.9)
    assert arm.bias == (
        "λ < 1 trusts a value function that is not the true one",
        BatchMean.bias,
        DROPPED,
        "the sum is divided by the batch's steps, whose number is random",
        "the batch ends by its steps, so its number of episodes is random",
    )


def test_the_trainer_puts_the_factor_on_a_weighting_of_ones_own(make_arm, make_shapes, train):
    """θ after a step from 0 by the sum of Σ_t γ^t 3 ∇log π, which at θ = 0 is ±½ a step."""

    def step(discount_states):
        arm = make_arm(
            weighting=Own(), gamma=0.5, init=Zeros(), updates=1, batch=BatchSize(episodes=1), seeds=list(range(20)),
            estimator=Estimator("sum", discount_states=discount_states), optimizer=partial(torch.optim.SGD, lr=1.0),
        )  # fmt: skip
        bundle = train(make_shapes(world=corridor(2), network=Tabular()), [arm])
        return np.unique(np.abs(bundle.parameters()[0]["weight"][:, 0, 0]))

    # Two steps in the corridor of horizon 2: 3 (±½ ±½) without the factor, 3 (±½ ±¼) with it.
    assert step(False).tolist() == [0.0, 3.0]
    assert step(True).tolist() == [0.75, 2.25]


def test_segments_have_a_fixed_number_of_steps_and_declare_only_what_their_borders_do(make_arm):
    critic = Value(Tabular(), Zeros(), partial(torch.optim.SGD, lr=0.1))
    arm = make_arm(weighting=w.GeneralizedAdvantage(1.0, 1.0, critic), batch=Segments(2, 8))
    assert arm.bias == (Segments.bias,)
