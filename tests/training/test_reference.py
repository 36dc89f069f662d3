"""A penalty on the divergence from the policy that a run began with: its forms, its places, and the same bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pglab.algorithms.divergence import FORMS, kl_estimate
from pglab.algorithms.groups import RLOO
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import Clip
from pglab.algorithms.weightings import TotalReturn
from pglab.envs.sequences import token_tree
from pglab.exact.policy import log_policy
from pglab.exact.values import visitation
from pglab.models.networks import Tabular
from pglab.models.parameters import Gaussian
from pglab.training.bundle import Bundle
from pglab.training.groups import Groups
from pglab.training.prompts import PromptGroups
from pglab.training.reuse import Epochs
from pglab.verify.expected import expected
from pglab.verify.finite import Tables
from tests.exact.exact_cases import case_on
from tests.training.test_fusion import results

GROUP = 4


@pytest.fixture
def shapes(make_shapes):
    return make_shapes(world=token_tree(2, 3, prompts=3), network=Tabular())


@pytest.fixture
def arm(make_arm):
    def make(reduction="episodes", form="k3", place="loss", beta=0.3, **changes):
        plain = {
            "weighting": RLOO(1.0, GROUP),
            "batch": PromptGroups(6, GROUP),
            "estimator": Estimator(reduction, kl_reference=beta, kl_form=form, kl_in=place),
            "init": Gaussian(0.5),
            "seeds": [0, 1],
        }
        return make_arm(**{**plain, **changes})

    return make


def test_the_forms_are_those_of_schulman():
    log_prob, reference = torch.tensor([0.5, 0.2]).log(), torch.tensor([0.25, 0.6]).log()
    r = reference.exp() / log_prob.exp()
    assert torch.allclose(kl_estimate("k1", log_prob, reference), -r.log())
    assert torch.allclose(kl_estimate("k2", log_prob, reference), r.log() ** 2 / 2)
    assert torch.allclose(kl_estimate("k3", log_prob, reference), r - 1 - r.log())


@pytest.fixture
def tables():
    """A policy on a problem, and another as the reference."""
    mdp = token_tree(2, 2, prompts=2)
    case, other = case_on(mdp, 1), case_on(mdp, 2)
    return Tables(*case.tables, reference=other.pi), case, other


def divergence_gradient(case, other, reverse):
    """∇ Σ_s d(s) KL at fixed d, by differentiating the divergences."""
    theta = case.parameters["weight"].clone().requires_grad_()
    log_pi = log_policy(case.mdp, case.policy, {"weight": theta})
    log_ref = torch.from_numpy(np.log(other.pi))
    first, second = (log_ref, log_pi) if reverse else (log_pi, log_ref)
    kl = (first.exp() * (first - second)).sum(-1)
    visits = torch.from_numpy(np.atleast_2d(visitation(case.mdp, case.pi, 1.0)).sum(0))
    (slope,) = torch.autograd.grad((visits * kl).sum(), theta)
    return slope.numpy().ravel()


def test_in_the_loss_k1_has_no_mean_gradient_k2_that_of_the_divergence_and_k3_that_of_the_other_way_round(tables):
    solved, case, other = tables
    assert solved.penalty_gradient("k1") == pytest.approx(np.zeros(case.score.shape[-1]), abs=1e-12)
    assert solved.penalty_gradient("k2") == pytest.approx(divergence_gradient(case, other, reverse=False), abs=1e-12)
    assert solved.penalty_gradient("k3") == pytest.approx(divergence_gradient(case, other, reverse=True), abs=1e-12)
    assert np.abs(divergence_gradient(case, other, True) - divergence_gradient(case, other, False)).max() > 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_in_the_reward_it_is_another_problem(tables, arm, form):
    solved, case, other = tables
    found = expected(arm(form=form, place="reward", weighting=TotalReturn(1.0)), solved, {})
    assert found is not None
    ratio = np.log(other.pi) - np.log(case.pi)
    k = {"k1": -ratio, "k2": ratio**2 / 2, "k3": np.exp(ratio) - 1 - ratio}[form]
    changed = replace(solved, mdp=replace(case.mdp, reward=case.mdp.reward - 0.3 * k[..., None]))
    plain = expected(arm(beta=0.0, weighting=TotalReturn(1.0)), changed, {})
    assert plain is not None
    assert found.mean == pytest.approx(plain.mean, abs=1e-12)
    assert found.variance == pytest.approx(plain.variance, abs=1e-12)


@pytest.mark.parametrize("reduction", ["episodes", "sequences", "tokens"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["loss", "reward"])
def test_an_update_follows_the_penalty_as_its_formula_says(shapes, arm, form, place, reduction):
    def moved(beta):
        bundle = Bundle(shapes, [arm(reduction, form, place, beta)])
        bundle.refer(bundle._runs.parameters.flip(0).clone())  # each run has the other's policy as its reference
        return bundle

    bundle, plain = moved(0.3), moved(0.0)
    played = bundle._play(bundle._arms)
    found = (bundle.estimates() - plain.estimates()).double()
    leaf = bundle._runs.parameters.detach().clone().requires_grad_()
    log_prob = log_probs(bundle, leaf, played)
    with torch.no_grad():
        reference = log_probs(bundle, bundle._runs.parameters.flip(0), played)
    k = kl_estimate(form, log_prob, reference)
    length = torch.from_numpy(np.repeat(played.length, played.length))
    share = {"episodes": 1 / (6 * GROUP), "sequences": 1 / (6 * GROUP * length)}.get(reduction, 2 / length.numel())
    if reduction == "tokens":
        steps = np.bincount(np.repeat(played.run, played.length))
        share = torch.from_numpy(1 / steps[np.repeat(played.run, played.length)])
    if place == "loss":
        (slope,) = torch.autograd.grad((share * k).sum(), leaf)
        expected = -0.3 * slope
    else:
        episode = torch.from_numpy(np.repeat(np.arange(len(played.length)), played.length))
        taken = torch.zeros(len(played.length)).index_add_(0, episode, k.detach()) * -0.3
        group = taken.reshape(-1, GROUP)
        advantage = ((group - group.mean(-1, keepdim=True)) * GROUP / (GROUP - 1)).flatten()[episode]
        (expected,) = torch.autograd.grad((share * advantage * log_prob).sum(), leaf)
    torch.testing.assert_close(found, expected.double(), rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("reduction", ["episodes", "sequences", "tokens"])
@pytest.mark.parametrize("bonus", [0.0, 0.2])
def test_what_is_measured_of_the_gradient_is_that_of_the_estimate_with_bonus_and_penalty(shapes, arm, reduction, bonus):
    made = arm(reduction, seeds=[0])
    estimator = replace(made.estimator, entropy_bonus=bonus)
    bundle = Bundle(shapes, [replace(made, estimator=estimator)])
    bundle.refer(bundle._runs.parameters * 0.5)
    kept = bundle._kept(bundle._arms, bundle._play(bundle._arms))
    weights, _ = bundle._weigh(bundle._arms, kept)
    groups = Groups.of(kept, 1)
    objectives = [(made.objective, np.array([0]))]
    (parts,) = groups.gradients(bundle._policy, bundle._runs.parameters, [weights.psi], weights, objectives)
    found = torch.from_numpy(groups.sums(parts)).float()
    torch.testing.assert_close(found, bundle.estimates(), rtol=1e-4, atol=1e-6)


def log_probs(bundle, parameters, played):
    """log π of each packed step, differentiable."""
    out = []
    for start, length, row in zip(played.start, played.length, played.run, strict=True):
        named = bundle._policy.model.layout.unflatten(parameters[row : row + 1])
        outputs = bundle._policy.model(named, played.obs[start : start + length][None])
        out.append(bundle._policy.head.log_prob(outputs, played.action[start : start + length][None])[0])
    return torch.cat(out)


def test_every_run_keeps_its_bits_and_goes_on_after_an_interruption(shapes, arm, train):
    def arms(seeds):
        chosen = {"seeds": seeds, "updates": 4, "objective": Clip(), "rule": Epochs(2, 2)}
        return [arm("tokens", form, place, **chosen) for form in FORMS for place in ("loss", "reward")]

    whole = train(shapes, [*arms([3, 1]), arm(beta=0.0, updates=4)])
    for number, alone in enumerate(arms([1])):
        assert results(whole, number, 1) == results(train(shapes, [alone]), 0, 0)
    assert results(whole, 6, 0) == results(train(shapes, [arm(beta=0.0, updates=4)]), 0, 0)
    before, after = (Bundle(shapes, arms([3, 1])) for _ in range(2))
    before.step()
    after.restore(before.state())
    while not after.finished:
        after.step()
    for mine, theirs in zip(after.parameters(), whole.parameters(), strict=False):
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kl_reference": -1.0}, "kl_reference=-1.0 must be at least 0"),
        ({"kl_form": "k4"}, "kl_form='k4' is not one of k1, k2, k3"),
        ({"kl_in": "head"}, "kl_in='head' is not one of loss, reward"),
    ],
)
def test_a_setting_without_meaning_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Estimator(**options)
