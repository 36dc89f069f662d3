import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.algorithms.baselines import BatchMean, Constant, LeaveOneOut, NoBaseline, RunningMean, Value
from pglab.algorithms.returns import rewards_to_go, total_returns
from tests.algorithms.episodes import batch_of, discounts, ragged, random_batch, return_from


def close(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-11)


def episode_baseline(baseline, batch, gamma):
    """b of each episode, after a check that it is the same at every step."""
    b = baseline(batch, rewards_to_go(batch.reward, gamma))
    assert torch.equal(b, b[..., :1].expand_as(batch.reward))
    return b[..., 0]


@given(ragged, discounts)
def test_batch_mean_is_the_mean_return_of_the_episodes(rewards, gamma):
    mean = sum(return_from(row, 0, gamma) for row in rewards) / len(rewards)
    b = episode_baseline(BatchMean(), batch_of(rewards), gamma)
    close(b, torch.full((len(rewards),), mean, dtype=torch.float64))


@given(ragged.filter(lambda rewards: len(rewards) > 1), discounts)
def test_leave_one_out_is_the_batch_mean_of_the_others(rewards, gamma):
    b = episode_baseline(LeaveOneOut(), batch_of(rewards), gamma)
    for i in range(len(rewards)):
        others = batch_of(rewards[:i] + rewards[i + 1 :])
        close(b[i], episode_baseline(BatchMean(), others, gamma)[0])


@given(ragged.filter(lambda rewards: len(rewards) > 1), discounts)
def test_leaving_one_out_stretches_the_distance_from_the_mean_by_n_over_n_minus_one(rewards, gamma):
    batch, n = batch_of(rewards), len(rewards)
    returns = rewards_to_go(batch.reward, gamma)[:, 0]
    distance = returns - episode_baseline(BatchMean(), batch, gamma)
    close(returns - episode_baseline(LeaveOneOut(), batch, gamma), distance * n / (n - 1))


@given(st.integers(0, 3))
def test_in_a_batch_of_one_episode_the_mean_is_its_return_and_there_are_no_others(padding):
    batch = batch_of([[1.0, 2.0, 4.0]], extra_episodes=padding)
    assert episode_baseline(BatchMean(), batch, 1.0)[0] == 7.0
    assert episode_baseline(LeaveOneOut(), batch, 1.0)[0] == 0.0


@pytest.mark.parametrize("baseline", [BatchMean(), LeaveOneOut(), RunningMean(include_current=True)])
@given(ragged, discounts, st.integers(1, 5))
def test_episodes_that_are_padding_do_not_count(baseline, rewards, gamma, padding):
    b, loose = (episode_baseline(baseline, batch_of(rewards, extra_episodes=n), gamma) for n in (0, padding))
    close(loose[: len(rewards)], b)


@pytest.mark.parametrize("baseline", [BatchMean(), LeaveOneOut(), RunningMean(include_current=True)])
def test_a_batch_of_padding_alone_has_a_finite_baseline(baseline):
    batch = random_batch(3, 4, steps=1)
    empty = type(batch)(**(vars(batch) | {"mask": torch.zeros_like(batch.mask), "memory": {}}))
    assert not baseline(empty, torch.zeros_like(empty.reward)).any()


@pytest.mark.parametrize("baseline", [BatchMean(), LeaveOneOut(), RunningMean(), RunningMean(include_current=True)])
def test_total_return_and_reward_to_go_have_the_same_baseline(baseline):
    batch = random_batch(4)
    assert torch.equal(
        baseline(batch, rewards_to_go(batch.reward, 0.9)), baseline(batch, total_returns(batch.reward, 0.9))
    )


def play(baseline, batches, gamma):
    """The baseline of each batch, with what it remembered of those before."""
    memory, played = {}, []
    for rewards in batches:
        batch = batch_of(rewards)
        batch = type(batch)(**(vars(batch) | {"memory": memory}))
        played.append(episode_baseline(baseline, batch, gamma)[0].item())
        memory = baseline.remember(memory, batch, rewards_to_go(batch.reward, gamma))
    return played


@given(st.lists(ragged, min_size=1, max_size=4), discounts)
def test_running_mean_is_the_mean_of_all_episodes_of_the_earlier_batches(batches, gamma):
    earlier, expected = [], []
    for rewards in batches:
        expected.append(sum(earlier) / len(earlier) if earlier else 0.0)
        earlier += [return_from(row, 0, gamma) for row in rewards]
    assert play(RunningMean(), batches, gamma) == pytest.approx(expected, rel=1e-12, abs=1e-11)


@given(st.lists(ragged, min_size=1, max_size=4), discounts)
def test_running_mean_with_the_current_batch_counts_its_episodes_too(batches, gamma):
    so_far, expected = [], []
    for rewards in batches:
        so_far += [return_from(row, 0, gamma) for row in rewards]
        expected.append(sum(so_far) / len(so_far))
    assert play(RunningMean(include_current=True), batches, gamma) == pytest.approx(expected, rel=1e-12, abs=1e-11)


def test_running_mean_keeps_counting_where_single_precision_stops():
    # In single precision 2^24 + 1 is 2^24: a running sum kept there would stand still.
    memory = {}
    for reward in (2.0**24, 1.0, 1.0):
        batch = batch_of([[reward]], dtype=torch.float32)
        memory = RunningMean().remember(memory, batch, batch.reward)
    assert {name: kept.item() for name, kept in memory.items()} == {"total": 2**24 + 2, "episodes": 3}


def test_running_mean_of_a_run_that_has_seen_no_episode_is_zero():
    batch = random_batch(2)
    memory = {"total": torch.tensor([0.0, 6.0]), "episodes": torch.tensor([0.0, 3.0])}
    batch = type(batch)(**(vars(batch) | {"memory": memory}))
    assert RunningMean()(batch, batch.reward)[:, 0, 0].tolist() == [0.0, 2.0]


@given(ragged, st.floats(-5, 5))
def test_constant_is_its_value_and_no_baseline_is_zero_at_every_step(rewards, value):
    batch = batch_of(rewards, extra_steps=2)
    assert torch.equal(Constant(value)(batch, batch.reward), torch.zeros_like(batch.reward) + value)
    assert torch.equal(NoBaseline()(batch, batch.reward), torch.zeros_like(batch.reward))


def test_value_is_the_critic_of_the_batch():
    batch = batch_of([[1.0, 1.0]], values=[[0.5, 0.25]])
    baseline = Value(network=None, init=None, optimizer=None)
    assert baseline(batch, batch.reward).tolist() == [[0.5, 0.25]]
    with pytest.raises(ValueError, match="needs a batch with the critic's values"):
        baseline(batch_of([[1.0, 1.0]]), batch.reward)


def test_a_critic_that_is_never_fitted_is_refused():
    with pytest.raises(ValueError, match="fit_steps=0 must be at least 1"):
        Value(network=None, init=None, optimizer=None, fit_steps=0)
