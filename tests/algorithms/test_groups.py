"""Weightings that compare the episodes of a group: by their definitions, and beside a published package."""

import statistics
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pglab.algorithms.batch import BesideGreedy
from pglab.algorithms.groups import OPO, RLOO, GroupMean, ReMax, in_groups
from pglab.algorithms.standardized import DAPO, GRPO, ReinforcePlusPlus
from pglab.algorithms.weightings import declared_bias
from pglab.testing import check_weighting
from tests.algorithms.episodes import batch_of, numbers, padded

GROUP, GAMMA = 3, 0.9
EPISODES = st.lists(st.lists(numbers, min_size=1, max_size=5), min_size=1, max_size=8)
EVERY = (
    RLOO(GAMMA, GROUP),
    GroupMean(GAMMA, GROUP),
    GRPO(GAMMA, GROUP),
    GRPO(GAMMA, GROUP, ddof=1, epsilon=1e-4),
    DAPO(GAMMA, GROUP, ddof=1, epsilon=0.1),
    OPO(GAMMA, GROUP),
    ReinforcePlusPlus(GAMMA, GROUP, epsilon=0.1),
    ReinforcePlusPlus(GAMMA, GROUP, "episodes", group_mean=True, ddof=1, epsilon=0.1),
    ReinforcePlusPlus(GAMMA, GROUP, deviation=False),
)


def by_definition(weighting, rewards):
    """The advantage of each episode, from lists, by the formulas in the docstrings."""
    returns = [sum(GAMMA**t * r for t, r in enumerate(row)) for row in rewards]
    lengths = [len(row) for row in rewards]
    if isinstance(weighting, ReinforcePlusPlus):
        return over_the_batch(weighting, returns, lengths)
    advantages = []
    for i, own in enumerate(returns):
        first = i // GROUP * GROUP
        group, steps = returns[first : first + GROUP], lengths[first : first + GROUP]
        mean = statistics.fmean(group)
        if isinstance(weighting, RLOO):
            others = group[: i - first] + group[i - first + 1 :]
            advantages.append(own - (statistics.fmean(others) if others else 0.0))
        elif isinstance(weighting, OPO):
            advantages.append(own - sum(n * r for n, r in zip(steps, group, strict=True)) / sum(steps))
        elif isinstance(weighting, GRPO):
            advantages.append(standard_score(own, group, mean, weighting.ddof, weighting.epsilon))
        else:
            advantages.append(own - mean)
    return advantages


def standard_score(own, numbers, mean, ddof, epsilon):
    if max(numbers) - min(numbers) <= 1e-13 * max(map(abs, numbers)):
        return 0.0
    squares = sum((x - mean) ** 2 for x in numbers)
    return (own - mean) / ((squares / (len(numbers) - ddof)) ** 0.5 + epsilon)


def over_the_batch(weighting, returns, lengths):
    if weighting.group_mean:
        groups = [returns[i // GROUP * GROUP :][:GROUP] for i in range(len(returns))]
        returns = [r - statistics.fmean(group) for r, group in zip(returns, groups, strict=True)]
    counted = [r for r, n in zip(returns, lengths, strict=True) for _ in range(n if weighting.over == "steps" else 1)]
    mean = statistics.fmean(counted)
    if not weighting.deviation:
        return [r - mean for r in returns]
    return [standard_score(r, counted, mean, weighting.ddof, weighting.epsilon) for r in returns]


@pytest.mark.parametrize("weighting", EVERY, ids=str)
@given(EPISODES)
@settings(max_examples=40)
def test_every_step_of_an_episode_has_the_advantage_of_the_definition(weighting, rewards):
    expected = [[a] * len(row) for a, row in zip(by_definition(weighting, rewards), rewards, strict=True)]
    psi = weighting(batch_of(rewards, extra_episodes=2, extra_steps=1))
    torch.testing.assert_close(psi, padded(expected, *psi.shape, psi.dtype), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("weighting", EVERY, ids=str)
def test_it_keeps_the_contract_of_a_weighting(weighting):
    check_weighting(weighting)


def test_only_the_leave_one_out_mean_and_the_greedy_return_declare_no_bias():
    assert [type(w) for w in (*EVERY, ReMax(GAMMA, GROUP)) if not declared_bias(w)] == [RLOO, ReMax]
    assert all(w.without_bias() == RLOO(GAMMA, GROUP) for w in EVERY if declared_bias(w))
    for weighting in EVERY[1:]:
        assert weighting.parts()[-1][1] == weighting


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weighting", EVERY[2:5], ids=str)
def test_returns_that_differ_by_rounding_alone_have_no_weight(weighting, dtype):
    rewards = [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.1, 0.3]]  # of which no two sums have the same last bits
    batch = batch_of(rewards, dtype=dtype)
    assert not replace(weighting, gamma=1.0)(batch).any()


def test_the_greedy_return_of_each_prompt_is_taken_off():
    batch = batch_of([[1.0], [0.0, 2.0], [3.0], [4.0]])
    greedy = torch.tensor([0.5, 0.5, 2.0, 2.0], dtype=torch.float64)
    psi = ReMax(1.0, 2)(BesideGreedy(**vars(batch), greedy=greedy))
    assert psi.tolist() == [[0.5, 0.0], [1.5, 1.5], [1.0, 0.0], [2.0, 0.0]]
    with pytest.raises(ValueError, match="needs a batch with the returns of greedy episodes"):
        ReMax(1.0, 2)(batch)


def test_an_episode_belongs_to_the_group_of_its_place_and_the_last_one_is_filled_up():
    assert in_groups(torch.arange(5), 2).tolist() == [[0, 1], [2, 3], [4, 0]]
    assert in_groups(torch.arange(4), 2).tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RLOO(1.0, 0), "group=0 must be at least 1"),
        (lambda: GRPO(1.0, 2, ddof=2), "ddof=2 must be 0 .* or 1"),
        (lambda: GRPO(1.0, 2, epsilon=-1.0), "epsilon=-1.0 must be at least 0"),
        (lambda: DAPO(1.0, 2, most=0), "most=0 must be at least 1"),
        (lambda: ReinforcePlusPlus(1.0, 2, "tokens"), "over='tokens' is not one of steps, episodes"),
    ],
)
def test_a_setting_without_meaning_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
