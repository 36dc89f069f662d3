from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.algorithms.baselines import BatchMean, Constant, LeaveOneOut, NoBaseline, RunningMean, Value
from pglab.algorithms.weightings import (
    ExponentSlip,
    GeneralizedAdvantage,
    ReturnMinusBaseline,
    RewardToGo,
    TotalReturn,
    declared_bias,
    discounted,
)
from tests.algorithms.episodes import (
    batch_of,
    discounts,
    numbers,
    padded,
    ragged,
    random_batch,
    return_from,
    with_factor,
)

critic = Value(network=None, init=None, optimizer=None)  # reads the values in the batch, all that is asked of it here
BASELINES = [NoBaseline(), Constant(1.5), BatchMean(), LeaveOneOut(), RunningMean(), RunningMean(True), critic]
WEIGHTINGS = [
    TotalReturn(0.9),
    ExponentSlip(0.9),
    RewardToGo(0.9),
    *(ReturnMinusBaseline(0.9, baseline, returns) for baseline, returns in product(BASELINES, ("rtg", "total"))),
    *(GeneralizedAdvantage(0.9, lam, baseline) for lam, baseline in product((0.0, 0.7, 1.0), BASELINES)),
]


def close(psi, expected):
    torch.testing.assert_close(psi, expected, rtol=1e-11, atol=1e-11)


def assert_episode_by_episode(psi, expected):
    """Ψ `[E, T]` equals the given lists, with zeros after their ends."""
    close(psi, padded(expected, *psi.shape, psi.dtype))


SIMPLER = [
    (ExponentSlip(1.0), RewardToGo(1.0)),
    *((ReturnMinusBaseline(gamma, NoBaseline()), RewardToGo(gamma)) for gamma in (0.9, 1.0)),
    (ReturnMinusBaseline(0.9, NoBaseline(), "total"), TotalReturn(0.9)),
    (GeneralizedAdvantage(0.9, 1.0, NoBaseline()), RewardToGo(0.9)),
]


@pytest.mark.parametrize(("weighting", "simpler"), SIMPLER, ids=str)
def test_a_weighting_has_the_bits_of_its_simplest_form(weighting, simpler):
    assert weighting.simplest() == simpler
    batch = random_batch(3)
    assert torch.equal(weighting(batch), simpler(batch))
    assert torch.equal(
        discounted(weighting, weighting(batch), weighting.gamma), discounted(simpler, simpler(batch), simpler.gamma)
    )
    assert declared_bias(weighting) == declared_bias(simpler)
    assert getattr(weighting, "whole_episodes", False) == getattr(simpler, "whole_episodes", False)


def test_constant_zero_is_no_baseline():
    batch = random_batch(3)
    assert Constant(0.0).simplest() == NoBaseline()
    assert torch.equal(Constant(0.0)(batch, batch.reward), NoBaseline()(batch, batch.reward))


@pytest.mark.parametrize(
    "part",
    [ExponentSlip(0.9), ReturnMinusBaseline(0.9, critic), GeneralizedAdvantage(0.9, 0.9, NoBaseline()), Constant(1.5)],
    ids=str,
)
def test_at_another_setting_a_part_is_its_own_simplest_form(part):
    assert part.simplest() is part


@st.composite
def valued(draw):
    """Ragged rewards and a value for each step."""
    rewards = draw(ragged)
    return rewards, [draw(st.lists(numbers, min_size=len(row), max_size=len(row))) for row in rewards]


@given(ragged, discounts.filter(lambda gamma: gamma > 0.1))
def test_the_exponent_slip_discounts_each_reward_by_itself(rewards, gamma):
    expected = [[sum(gamma**r * r for r in row[t:]) for t in range(len(row))] for row in rewards]
    assert_episode_by_episode(ExponentSlip(gamma)(batch_of(rewards, extra_steps=3)), expected)


def test_the_exponent_slip_scales_the_reward_to_go_of_cartpole_and_leaves_it_undiscounted():
    batch = batch_of([[1.0] * 30, [1.0] * 7])
    close(ExponentSlip(0.99)(batch), 0.99 * RewardToGo(1.0)(batch))


@given(ragged, discounts)
def test_total_return_weighs_every_step_with_the_return_of_its_episode(rewards, gamma):
    expected = [[return_from(row, 0, gamma)] * len(row) for row in rewards]
    assert_episode_by_episode(TotalReturn(gamma)(batch_of(rewards, extra_steps=3)), expected)


@given(ragged, discounts)
def test_reward_to_go_weighs_each_step_with_what_follows_it(rewards, gamma):
    expected = [[return_from(row, t, gamma) for t in range(len(row))] for row in rewards]
    assert_episode_by_episode(RewardToGo(gamma)(batch_of(rewards, extra_steps=3)), expected)


@given(valued(), discounts)
def test_return_minus_baseline_subtracts_the_value_of_each_step(episodes, gamma):
    rewards, values = episodes
    pairs = list(zip(rewards, values, strict=True))
    batch = batch_of(rewards, values)
    to_go = [[return_from(r, t, gamma) - v[t] for t in range(len(r))] for r, v in pairs]
    assert_episode_by_episode(ReturnMinusBaseline(gamma, critic)(batch), to_go)
    total = [[return_from(r, 0, gamma) - v[t] for t in range(len(r))] for r, v in pairs]
    assert_episode_by_episode(ReturnMinusBaseline(gamma, critic, returns="total")(batch), total)


@given(valued(), discounts, st.floats(0, 1))
def test_gae_is_the_exponential_average_of_the_n_step_advantages(episodes, gamma, lam):
    def n_step(reward, value, t, n):
        rewards = sum(gamma**k * reward[t + k] for k in range(n))
        return rewards + (gamma**n * value[t + n] if t + n < len(reward) else 0.0) - value[t]

    def average(reward, value, t):
        last = len(reward) - t  # beyond it, every n-step advantage is that of the whole episode
        ends_before = sum(lam ** (n - 1) * n_step(reward, value, t, n) for n in range(1, last))
        return (1 - lam) * ends_before + lam ** (last - 1) * n_step(reward, value, t, last)

    rewards, values = episodes
    expected = [[average(r, v, t) for t in range(len(r))] for r, v in zip(rewards, values, strict=True)]
    psi = GeneralizedAdvantage(gamma, lam, critic)(batch_of(rewards, values, extra_steps=2))
    assert_episode_by_episode(psi, expected)


@given(valued(), discounts)
def test_gae_with_lambda_one_is_the_reward_to_go_less_the_value(episodes, gamma):
    batch = batch_of(*episodes)
    close(GeneralizedAdvantage(gamma, 1.0, critic)(batch), ReturnMinusBaseline(gamma, critic)(batch))


@given(valued(), discounts)
def test_gae_with_lambda_zero_is_the_td_error(episodes, gamma):
    rewards, values = episodes
    following = [[*row[1:], 0.0] for row in values]
    td = [
        [r + gamma * n - v for r, n, v in zip(*rows, strict=True)]
        for rows in zip(rewards, following, values, strict=True)
    ]
    assert_episode_by_episode(GeneralizedAdvantage(gamma, 0.0, critic)(batch_of(rewards, values)), td)


@given(ragged, discounts)
def test_gae_without_a_baseline_is_a_reward_to_go_discounted_by_gamma_lambda(rewards, gamma):
    batch = batch_of(rewards)
    close(GeneralizedAdvantage(gamma, 0.5, NoBaseline())(batch), RewardToGo(0.5 * gamma)(batch))


def test_gae_takes_no_value_from_beyond_the_end_of_an_episode():
    batch = batch_of([[1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    psi = GeneralizedAdvantage(1.0, 0.0, Constant(10.0))(batch)
    assert psi.tolist() == [[1.0, -9.0, 0.0, 0.0], [1.0, 1.0, 1.0, -9.0]]


@given(ragged, discounts)
def test_a_baseline_of_zero_changes_nothing(rewards, gamma):
    batch = batch_of(rewards)
    for zero in (NoBaseline(), Constant(0.0), RunningMean()):
        assert torch.equal(ReturnMinusBaseline(gamma, zero)(batch), RewardToGo(gamma)(batch))
        assert torch.equal(ReturnMinusBaseline(gamma, zero, "total")(batch), TotalReturn(gamma)(batch))


@given(valued(), discounts)
def test_discounting_states_multiplies_step_t_by_gamma_to_the_t(episodes, gamma):
    batch = batch_of(*episodes)
    powers = torch.tensor([gamma**t for t in range(batch.reward.shape[-1])], dtype=torch.float64)
    for weighting in (
        RewardToGo(gamma),
        ReturnMinusBaseline(gamma, critic),
        GeneralizedAdvantage(gamma, 0.5, critic),
    ):
        close(with_factor(weighting)(batch), weighting(batch) * powers)


@given(valued(), discounts)
def test_a_total_return_never_takes_the_factor_of_the_discounted_states(episodes, gamma):
    batch = batch_of(*episodes)
    for weighting in (TotalReturn(gamma), ReturnMinusBaseline(gamma, critic, "total")):
        assert torch.equal(with_factor(weighting)(batch), weighting(batch))


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=repr)
def test_weights_are_zero_after_the_end_of_each_episode(weighting):
    batch = random_batch(episodes=40)
    psi = weighting(batch)
    assert psi.shape == batch.reward.shape
    assert not psi[~batch.mask].any()
    assert psi[batch.mask].any()


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=repr)
def test_leading_axes_are_as_many_separate_batches(weighting):
    stacked = random_batch(2, 3)
    psi = weighting(stacked)

    def part(*index):
        own = {name: kept[index] for name, kept in vars(stacked).items() if name != "memory"}
        return type(stacked)(**own, memory={name: kept[index] for name, kept in stacked.memory.items()})

    for j in range(2):
        close(weighting(part(j)), psi[j])
        for k in range(3):
            close(weighting(part(j, k)), psi[j, k])


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=repr)
def test_padding_changes_no_weight(weighting):
    rewards = [[1.0, -2.0, 0.5], [0.25], [3.0, 1.0]]
    values = [[0.5, 0.125, -1.0], [2.0], [-0.5, 1.5]]
    tight, loose = (batch_of(rewards, values, extra_episodes=n, extra_steps=n) for n in (0, 4))
    close(weighting(loose)[:3, :3], weighting(tight))


@pytest.mark.parametrize("lam", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_lambda_outside_the_unit_interval_is_refused(lam):
    with pytest.raises(ValueError, match=rf"lam={lam} is outside \[0, 1\]"):
        GeneralizedAdvantage(0.9, lam, NoBaseline())


def test_an_unknown_kind_of_return_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ValueError, match="returns='undiscounted' is not one of 'rtg', 'total'"):
        ReturnMinusBaseline(0.9, NoBaseline(), returns="undiscounted")
