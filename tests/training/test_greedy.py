"""Evaluation by the most probable actions."""

import pytest

from pglab.algorithms.gaussian import Gaussian, TanhGaussian
from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.build import check_components
from pglab.envs.cartpole import CartPole
from pglab.envs.spaces import Box
from pglab.errors import InputError
from pglab.models.networks import Linear
from pglab.sweep import compose_runs
from pglab.training.bundle import Bundle
from tests.training.test_action_spaces import Aim


class BoundedAim(Aim):
    actions = Box(1, (-4.0,), (2.0,))


def scale(bundle: Bundle, factor: float) -> None:
    (state,) = bundle.state()
    bundle.restore([{**state, "policy/parameters": factor * state["policy/parameters"]}])


@pytest.mark.parametrize(("head", "mean"), [(Gaussian(), 0.0), (TanhGaussian(), -1.0)])
def test_where_actions_are_numbers_they_are_their_medians(make_arm, make_shapes, head, mean: float):
    bundle = Bundle(make_shapes(world=BoundedAim(), head=head, network=Linear()), [make_arm(seeds=[0, 1])])
    scale(bundle, 0.0)
    assert bundle.evaluate(3, greedy=True)[0].returns == pytest.approx(-((mean - 2.0) ** 2))
    assert bundle.evaluate(3)[0].returns.std() > 0.1


@pytest.mark.parametrize("head", [Softmax(), Sigmoid()], ids=lambda head: type(head).__name__)
def test_counted_ones_are_those_of_a_policy_that_is_sure_of_them(make_arm, make_shapes, head):
    bundle = Bundle(make_shapes(world=CartPole(), head=head, network=Linear()), [make_arm(seeds=[0, 1, 2])])
    greedy, sampled = bundle.evaluate(20, greedy=True)[0], bundle.evaluate(20)[0]
    scale(bundle, 1e6)
    sure = bundle.evaluate(20)[0]
    assert greedy.length.tolist() == sure.length.tolist() == bundle.evaluate(20, greedy=True)[0].length.tolist()
    assert greedy.length.tolist() != sampled.length.tolist()


def test_a_head_that_is_wrong_on_purpose_has_none():
    (composed,) = compose_runs(["head=sigmoid_action_blind", "evaluation.greedy=true"])
    with pytest.raises(InputError, match=r"exp\(log_prob\) of ActionBlindSigmoid is no probability"):
        check_components(composed.settings)
