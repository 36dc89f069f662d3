"""GSPO's ratio of whole sequences and the clip of two sides: by their formulas, and the same bits in any company."""

import numpy as np
import pytest
import torch

from pglab.algorithms.groups import RLOO
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import SURROGATE, Clip, Ratio, Seen, SequenceRatio
from pglab.envs.sequences import token_tree
from pglab.models.networks import Tabular
from pglab.models.parameters import Gaussian
from pglab.training.bundle import Bundle
from pglab.training.episodes import Steps
from pglab.training.gradient import Old, policy_gradient
from pglab.training.prompts import PromptGroups
from pglab.training.reuse import Epochs
from tests.training.test_fusion import results

GROUP = 4


@pytest.fixture
def shapes(make_shapes):
    return make_shapes(world=token_tree(2, 4, prompts=3), network=Tabular())


@pytest.fixture
def arm(make_arm):
    def make(**changes):
        plain = {
            "weighting": RLOO(1.0, GROUP),
            "batch": PromptGroups(6, GROUP),
            "estimator": Estimator("sequences"),
            "init": Gaussian(0.5),
            "objective": SequenceRatio(0.1),
            "seeds": [0, 1],
        }
        return make_arm(**{**plain, **changes})

    return make


def moved(shapes, arm):
    """A batch, its weights, and the policy that played it with one that has moved away from it."""
    bundle = Bundle(shapes, [arm])
    played = bundle._play(bundle._arms)
    weights, _ = bundle._weigh(bundle._arms, played)
    before = bundle._runs.parameters
    old = Old.of(bundle._policy, before, played, Steps(played.run, played.length).blocks(before.device, np.arange(2)))
    aside = torch.randn(before.shape, generator=torch.Generator().manual_seed(0)) * 0.3
    return bundle._policy, before + aside, played, weights, old


def test_the_gradient_is_that_of_one_ratio_for_each_sequence(shapes, arm):
    policy, parameters, played, weights, old = moved(shapes, arm())
    found = policy_gradient(policy, parameters, played, weights, SequenceRatio(0.1), old)
    leaf = parameters.clone().requires_grad_()
    total, clipped = torch.zeros(()), 0
    for episode, start in enumerate(played.start):
        steps, row = slice(start, start + played.length[episode]), played.run[episode]
        named = policy.model.layout.unflatten(leaf[row : row + 1])
        outputs = policy.model(named, played.obs[steps][None])
        log_ratio = policy.head.log_prob(outputs, played.action[steps][None])[0] - old.log_prob[steps]
        ratio, advantage = log_ratio.mean().exp(), weights.psi[steps].sum()
        bound = ratio.clamp(0.9, 1.1)
        clipped += bool((ratio - bound).abs() > 0)
        total = total - torch.minimum(ratio * advantage, bound * advantage)
    (expected,) = torch.autograd.grad(total, leaf)
    assert 3 < clipped < len(played.start) - 3
    torch.testing.assert_close(found.gradient, expected, rtol=1e-4, atol=1e-6)
    assert float(found.loss.sum()) == pytest.approx(float(total.detach()), rel=1e-4)


def test_of_sequences_of_one_token_it_is_the_ratio_of_the_step(make_shapes, arm):
    shapes = make_shapes(world=token_tree(3, 1, prompts=3), network=Tabular())
    policy, parameters, played, weights, old = moved(shapes, arm())
    sequence, step = (
        policy_gradient(policy, parameters, played, weights, kind(0.1), old).gradient for kind in (SequenceRatio, Clip)
    )
    torch.testing.assert_close(sequence, step, rtol=1e-5, atol=1e-7)


def test_at_the_policy_that_played_it_has_the_plain_gradient(shapes, arm):
    plain, sequence = (Bundle(shapes, [arm(objective=kind)]).estimates() for kind in (SURROGATE, SequenceRatio()))
    torch.testing.assert_close(sequence, plain, rtol=1e-5, atol=1e-7)


def test_every_run_keeps_its_bits_in_minibatches_of_a_mixed_bundle(shapes, arm, train):
    chosen = {"rule": Epochs(2, 3), "seeds": [3]}
    others = [arm(objective=Clip(0.1, clip_high=0.3), rule=Epochs(2, 3)), arm(objective=Ratio(), seeds=[3, 4, 5])]
    together = train(shapes, [others[0], arm(**chosen), others[1]])
    assert results(together, 1, 0) == results(train(shapes, [arm(**chosen)]), 0, 0)


@pytest.mark.parametrize("psi", [1.0, -1.0])
@pytest.mark.parametrize("ratio", [0.5, 0.75, 0.9, 1.15, 1.25, 1.5])
def test_each_side_is_clipped_by_its_own_number(psi, ratio):
    log_prob = torch.tensor([[ratio]]).log().requires_grad_()
    seen = Seen(log_prob, torch.tensor([[psi]]), torch.zeros(1, 1), strength=torch.tensor([[0.2]]))
    (slope,) = torch.autograd.grad(Clip(0.2, clip_low=0.3, clip_high=0.28)(seen).sum(), log_prob)
    stopped = ratio > 1.28 if psi > 0 else ratio < 0.7
    assert float(slope) == pytest.approx(0.0 if stopped else -psi * ratio)


def test_a_schedule_narrows_both_sides_in_proportion():
    log_prob = torch.tensor([[1.2, 1.1]]).log().requires_grad_()
    seen = Seen(
        log_prob, torch.ones(1, 2), torch.zeros(1, 2), strength=torch.tensor([[0.1]])
    )  # half of what it began with
    (slope,) = torch.autograd.grad(Clip(0.2, clip_high=0.3)(seen).sum(), log_prob)
    assert slope[0].tolist() == pytest.approx([0.0, -1.1])


def test_a_side_without_width_is_refused():
    with pytest.raises(ValueError, match="clip_high=0 must be above 0"):
        SequenceRatio(0.2, clip_high=0)
