import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.algorithms.returns import discount_powers, discounted_sum, rewards_to_go, total_returns
from tests.algorithms.episodes import discounts, numbers, return_from

rewards_lists = st.lists(numbers, min_size=1, max_size=70)


@given(rewards_lists, discounts)
def test_discounted_sum_is_the_double_loop(rewards, gamma):
    expected = [return_from(rewards, t, gamma) for t in range(len(rewards))]
    result = discounted_sum(torch.tensor(rewards, dtype=torch.float64), gamma)
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@given(rewards_lists, discounts)
def test_discounted_sum_obeys_the_bellman_recursion(rewards, gamma):
    x = torch.tensor(rewards, dtype=torch.float64)
    result = discounted_sum(x, gamma)
    following = torch.cat((result[1:], torch.zeros(1, dtype=torch.float64)))
    torch.testing.assert_close(result, x + gamma * following, rtol=1e-12, atol=1e-12)


@given(rewards_lists, discounts, st.integers(0, 70), st.sampled_from([torch.float32, torch.float64]))
def test_discounted_sum_does_not_change_a_bit_with_the_zeros_that_follow(rewards, gamma, zeros, dtype):
    x = torch.tensor(rewards, dtype=dtype)
    longer = discounted_sum(torch.cat((x, torch.zeros(zeros, dtype=dtype))), gamma)
    bits = torch.int32 if dtype == torch.float32 else torch.int64
    assert torch.equal(longer[: len(x)].view(bits), discounted_sum(x, gamma).view(bits))
    assert not longer[len(x) :].any()


@given(st.lists(st.integers(1, 4), max_size=3), st.integers(1, 20), discounts)
def test_discounted_sum_treats_every_leading_index_alike(leading, steps, gamma):
    x = torch.randn(*leading, steps, dtype=torch.float64, generator=torch.Generator().manual_seed(steps))
    result = discounted_sum(x, gamma)
    assert result.shape == x.shape
    for row, expected in zip(x.reshape(-1, steps), result.reshape(-1, steps), strict=True):
        assert torch.equal(discounted_sum(row, gamma), expected)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 31, 32, 33, 200])
def test_reward_to_go_of_a_constant_reward_counts_down(steps):
    assert rewards_to_go(torch.ones(steps), 1.0).tolist() == list(range(steps, 0, -1))


def test_reward_to_go_without_a_future_is_the_reward():
    reward = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rewards_to_go(reward, 0.0), reward)


def test_reward_to_go_of_a_constant_reward_is_a_geometric_series():
    steps_left = torch.arange(50, 0, -1, dtype=torch.float64)
    expected = (1 - 0.9**steps_left) / (1 - 0.9)
    torch.testing.assert_close(rewards_to_go(torch.ones(50, dtype=torch.float64), 0.9), expected, rtol=1e-13, atol=0)


@given(rewards_lists, discounts)
def test_total_return_is_the_first_reward_to_go_at_every_step(rewards, gamma):
    reward = torch.tensor(rewards, dtype=torch.float64)
    total = total_returns(reward, gamma)
    assert total.shape == reward.shape
    assert torch.equal(total, rewards_to_go(reward, gamma)[0].repeat(len(rewards)))
    expected = sum(gamma**k * r for k, r in enumerate(rewards))
    torch.testing.assert_close(total[-1].item(), expected, rtol=1e-12, atol=1e-12)


@given(rewards_lists, discounts)
def test_total_return_splits_into_the_past_and_the_discounted_reward_to_go(rewards, gamma):
    reward = torch.tensor(rewards, dtype=torch.float64)
    powers = discount_powers(len(rewards), gamma, reward)
    past = torch.cat((torch.zeros(1, dtype=torch.float64), (powers * reward).cumsum(0)[:-1]))
    split = past + powers * rewards_to_go(reward, gamma)
    torch.testing.assert_close(total_returns(reward, gamma), split, rtol=1e-12, atol=1e-11)


@given(st.integers(1, 500), discounts)
def test_discount_powers_are_the_powers_rounded_once(steps, gamma):
    exact = torch.tensor([gamma**t for t in range(steps)], dtype=torch.float64)
    powers = discount_powers(steps, gamma, torch.zeros(1, dtype=torch.float32))
    assert powers.dtype == torch.float32
    # Half a unit in the last place, and a breath for those that lie on the boundary itself.
    torch.testing.assert_close(powers.double(), exact, rtol=2.0**-24 * (1 + 1e-5), atol=2.0**-149)
