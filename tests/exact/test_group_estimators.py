"""Estimates that couple the episodes of a group: known numbers, and every batch one by one."""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pglab.algorithms.groups import OPO, RLOO, GroupMean, ReMax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.standardized import DAPO, GRPO, ReinforcePlusPlus
from pglab.algorithms.weightings import RewardToGo
from pglab.envs.problems import random_mdp
from pglab.envs.sequences import stop_or_continue, token_tree, verifiable_bandit
from pglab.exact.enumeration import enumerate_trajectories, estimate_moments
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.group_estimators import group_moments
from tests.exact.exact_cases import SEEDS, Case, case_on

MEANS = ("episodes", "sequences", "tokens")


def uniform_on(mdp) -> Case:
    """The uniform policy, θ = 0."""
    case = case_on(mdp, 0)
    return replace(case, parameters={name: 0 * part for name, part in case.parameters.items()})


def direction(case, *of, **estimator):
    """Cosine with ∇J, and ‖m‖ / ‖∇J‖."""
    mean = group_moments(*case.tables, *of, estimator=Estimator(**estimator)).mean
    gradient = gradient_by_theorem(*case.tables, 1.0)
    length = np.linalg.norm(mean)
    return mean @ gradient / length / np.linalg.norm(gradient), length / np.linalg.norm(gradient)


@pytest.mark.parametrize(
    ("weighting", "reduction", "cosine", "norm"),
    [
        (GRPO(1.0, 4), "sequences", 0.940428, 0.618447),
        (GRPO(1.0, 4), "tokens", 0.999403, 0.761143),
        (GRPO(1.0, 4), "budget", 1.0, 1.704857),
        (RLOO(1.0, 4), "sequences", 0.940428, 0.362756),
        (RLOO(1.0, 4), "budget", 1.0, 1.0),
    ],
    ids=str,
)
def test_stop_or_continue_has_its_known_numbers(weighting, reduction, cosine, norm):
    found = direction(uniform_on(stop_or_continue(4)), weighting, 4, reduction=reduction)
    assert found == pytest.approx((cosine, norm), abs=6e-7)


@pytest.mark.parametrize("group", [2, 4, 8])
def test_the_group_mean_is_the_gradient_times_one_less_one_part_in_the_group(group):
    case = case_on(stop_or_continue(3), 1)
    cosine, norm = direction(case, GroupMean(1.0, group), group, reduction="budget")
    assert (cosine, norm) == pytest.approx((1.0, 1 - 1 / group), rel=1e-9)
    assert direction(case, GroupMean(1.0, group), group, reduction="budget", budget=5.0)[1] == pytest.approx(norm / 5)


@pytest.mark.parametrize(("group", "known"), [(2, 1.0), (4, 1.058155), (8, 1.332716), (16, 1.689188)])
def test_the_deviation_weighs_a_hard_prompt_beside_an_even_one(group, known):
    hard, even = (
        direction(uniform_on(verifiable_bandit([p])), GRPO(1.0, group, epsilon=0.0), group)[1] for p in (0.05, 0.5)
    )
    assert hard / even == pytest.approx(known, abs=6e-7)


@pytest.mark.parametrize("p", [0.1, 0.35])
def test_a_prompt_is_weighted_by_its_mean_deviation_over_its_variance(p):
    group = 8
    count = np.arange(group + 1)
    chance = (
        np.array([len(list(itertools.combinations(range(group), k))) for k in count])
        * p**count
        * (1 - p) ** (group - count)
    )
    deviation = np.sqrt(count / group * (1 - count / group))
    cosine, norm = direction(uniform_on(verifiable_bandit([p], 20)), GRPO(1.0, group, epsilon=0.0), group)
    assert (cosine, norm) == pytest.approx((1.0, chance @ deviation / (p * (1 - p))), rel=1e-9)
    if p == 0.1:  # a mixed group looks nearly twice as easy as its prompt is, and yet the direction is exact
        mixed = (count > 0) & (count < group)
        assert chance[mixed] @ count[mixed] / group / chance[mixed].sum() == pytest.approx(0.1756, abs=5e-5)
        unscaled = direction(uniform_on(verifiable_bandit([p], 20)), RLOO(1.0, group), group)
        assert unscaled == pytest.approx((1.0, 1.0), rel=1e-9)


def one_by_one(case, weighting, group, prompts, estimator):
    """Mean and total variance over every *ordered* batch, estimated episode by episode."""
    episodes = enumerate_trajectories(case.mdp, case.pi)
    own = case.score[episodes.state, episodes.action] * episodes.mask[..., None]
    first = episodes.state[:, 0]
    chance = episodes.probability / case.mdp.start[first]
    batches = [(1.0, ())]
    for _ in range(prompts):
        batches = [
            (p * case.mdp.start[prompt] * chance[list(chosen)].prod(), (*batch, *chosen))
            for p, batch in batches
            for prompt in np.flatnonzero(case.mdp.start)
            for chosen in itertools.product(np.flatnonzero(first == prompt), repeat=group)
        ]
    probability, chosen = np.array([p for p, _ in batches]), np.array([batch for _, batch in batches])
    _, every = episodes.batches(1)
    batch = replace(every, **{
        name: kept[chosen, 0] for name, kept in vars(every).items() if isinstance(kept, torch.Tensor)
    })  # fmt: skip
    psi = weighting(batch).numpy()
    estimates = []
    for row, numbers in zip(psi, chosen, strict=True):
        lengths = episodes.length[numbers]
        divisor = {"tokens": lengths.sum(), "budget": estimator.budget * len(numbers)}.get(
            estimator.reduction, len(numbers)
        )
        factor = 1 / lengths if estimator.reduction == "sequences" else np.ones(len(numbers))
        sums = np.einsum("et,etp->ep", row, own[numbers])
        estimates.append(factor @ sums / divisor)
    estimates = np.array(estimates)
    mean = probability @ estimates
    return mean, probability @ ((estimates - mean) ** 2).sum(1)


WITHIN = (RLOO(0.9, 2), GroupMean(0.9, 2), GRPO(0.9, 2, 1, 0.1), OPO(0.9, 2))
GLOBAL = (ReinforcePlusPlus(0.9, 2), ReinforcePlusPlus(0.9, 2, "episodes", group_mean=True), RewardToGo(0.9))


@pytest.mark.parametrize("reduction", [*MEANS, "budget"])
@pytest.mark.parametrize("weighting", [*WITHIN, *GLOBAL], ids=str)
def test_mean_and_variance_are_those_of_every_ordered_batch(weighting, reduction):
    case = case_on(token_tree(1, 2, prompts=2), 5)
    estimator = Estimator(reduction=reduction, budget=3.0)
    found = group_moments(*case.tables, weighting, 2, 2, estimator)
    mean, variance = one_by_one(case, weighting, 2, 2, estimator)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.variance == pytest.approx(variance, abs=1e-12)


@dataclass(frozen=True)
class EachByItself(GRPO):
    """The same weights, of which nothing is said that would let episodes be counted by outcome."""

    by_outcome: ClassVar[bool] = False


@given(SEEDS, st.integers(2, 4), st.sampled_from([(1, 3), (2, 2), (3, 1)]), st.sampled_from(MEANS), st.integers(1, 3))
@settings(max_examples=15)
def test_episodes_counted_by_their_outcome_give_the_same(seed, group, tree, reduction, prompts):
    case = case_on(token_tree(*tree, prompts=2, seed=seed, binary=True), seed)
    estimator = Estimator(reduction=reduction)
    by_outcome, by_episode = (
        group_moments(*case.tables, kind(1.0, group), group, prompts, estimator, limit=10**6)
        for kind in (GRPO, EachByItself)
    )
    assert by_outcome.mean == pytest.approx(by_episode.mean, abs=1e-11)
    assert by_outcome.variance == pytest.approx(by_episode.variance, abs=1e-11)


@given(SEEDS, st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=15)
def test_the_leave_one_out_mean_and_the_greedy_return_are_unbiased(seed, group, positions, prompts):
    case = case_on(stop_or_continue(positions, prompts=2), seed)
    gradient = gradient_by_theorem(*case.tables, 1.0)
    for kind in (RLOO, ReMax):
        assert group_moments(*case.tables, kind(1.0, group), group, prompts).mean == pytest.approx(gradient, abs=1e-11)


def test_the_greedy_return_of_a_problem_with_chance_is_a_random_baseline():
    case = case_on(random_mdp(3, states=3, actions=2, branching=2, end=0.5, horizon=2), 4)
    gradient = gradient_by_theorem(*case.tables, 1.0)
    assert group_moments(*case.tables, ReMax(1.0, 2), 2).mean == pytest.approx(gradient, abs=1e-12)


@pytest.mark.parametrize("reduction", MEANS)
def test_groups_of_one_are_a_batch_of_independent_episodes(reduction):
    case = case_on(random_mdp(3, states=3, actions=2, branching=2, end=0.5, horizon=2), 4)
    found = group_moments(*case.tables, RewardToGo(1.0), 1, 2, Estimator(reduction=reduction))
    plain = estimate_moments(*case.tables, RewardToGo(1.0), 2, reduction=reduction)
    assert found.mean == pytest.approx(plain.mean, abs=1e-12)
    assert found.variance == pytest.approx(plain.variance, abs=1e-12)


def test_many_groups_of_an_unbiased_estimate_have_their_part_of_its_variance():
    case = case_on(stop_or_continue(3, prompts=2), 1)
    one = group_moments(*case.tables, RLOO(1.0, 3), 3)
    many = group_moments(*case.tables, RLOO(1.0, 3), 3, 7)
    assert many.variance == pytest.approx(one.variance / 7, rel=1e-10)


def dropped_by_hand(case, weighting, prompts, reduction):
    """As `one_by_one`, the groups of equal returns left out of the sum and of what it is divided by."""
    episodes = enumerate_trajectories(case.mdp, case.pi)
    total, square = 0.0, 0.0
    own = (case.score[episodes.state, episodes.action] * episodes.mask[..., None]).sum(1)
    returns = episodes.returns(1.0)
    for chosen in itertools.product(range(len(returns)), repeat=weighting.group * prompts):
        chance = episodes.probability[list(chosen)].prod()
        used = [g for g in np.reshape(chosen, (prompts, -1)) if np.ptp(returns[g]) > 0]
        estimate = np.zeros(own.shape[1])
        for g in used:
            r = returns[g]
            advantage = (r - r.mean()) / (r.std(ddof=weighting.ddof) + weighting.epsilon)
            estimate += advantage @ own[g]
        count = sum(episodes.length[g].sum() if reduction == "tokens" else len(g) for g in used)
        estimate /= max(count, 1)
        total, square = total + chance * estimate, square + chance * estimate @ estimate
    return total, square - total @ total


@pytest.mark.parametrize("reduction", ["episodes", "tokens"])
def test_dropped_groups_leave_the_divisor_too(reduction):
    case = case_on(stop_or_continue(2), 3)
    weighting = DAPO(1.0, 2, epsilon=0.1)
    found = group_moments(*case.tables, weighting, 2, 3, Estimator(reduction=reduction))
    mean, variance = dropped_by_hand(case, weighting, 3, reduction)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.variance == pytest.approx(variance, abs=1e-12)


def test_with_enough_further_groups_a_batch_is_always_full():
    case = case_on(stop_or_continue(2), 3)
    kept = group_moments(*case.tables, DAPO(1.0, 4), 4, 2)
    filled = group_moments(*case.tables, DAPO(1.0, 4, refill=True, most=200), 4, 2)
    alone = group_moments(*case.tables, GRPO(1.0, 4), 4, 2)
    assert np.linalg.norm(alone.mean) < np.linalg.norm(kept.mean) < np.linalg.norm(filled.mean)
    once = group_moments(*case.tables, DAPO(1.0, 4, refill=True, most=1), 4, 2)
    assert once.mean == pytest.approx(kept.mean, abs=1e-15)
    half = group_moments(*case.tables, DAPO(1.0, 4, refill=True, most=200), 4, 4)
    assert half.variance == pytest.approx(filled.variance / 2, rel=1e-9)


def test_too_many_groups_are_refused_with_the_limit():
    case = uniform_on(verifiable_bandit([0.5], 10))
    with pytest.raises(ValueError, match=r"kinds make .* multisets of 9, more than limit=1,000"):
        group_moments(*case.tables, RewardToGo(1.0), 9, limit=1000)
