"""The estimators on problems small enough to enumerate every episode, and every batch of them."""

from dataclasses import replace

import pytest
import torch

from pglab.algorithms.baselines import BatchMean, Constant, LeaveOneOut, RunningMean, Value
from pglab.algorithms.weightings import GeneralizedAdvantage, ReturnMinusBaseline, RewardToGo, TotalReturn
from tests.algorithms.enumeration import bandit_outcomes, corridor_outcomes
from tests.algorithms.episodes import with_factor

critic = Value(network=None, init=None, optimizer=None)


def close(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-11, atol=1e-12)


def true_values(outcomes, gamma):
    """E[G_t | the episode up to step t], which is V of the state and of the time left, `[M, T]`."""
    to_go, action, mask = RewardToGo(gamma)(outcomes.episodes), outcomes.episodes.action, outcomes.episodes.mask
    values = torch.zeros_like(to_go)
    for t in range(to_go.shape[-1]):
        same = (action[:, None, :t] == action[None, :, :t]).all(-1) & mask[:, None, t] & mask[None, :, t]
        weight = same * outcomes.probability
        values[:, t] = weight @ to_go[:, t] / weight.sum(-1).clamp(min=1e-300)
    return values


@pytest.mark.parametrize(
    ("right", "objective", "slope", "variance_total", "variance_to_go"),
    [(0.5, -5.40625, 0.203125, 46.825928, 20.755615), (0.3, -5.65539, 0.323505, 39.467805, 16.582100)],
)
def test_the_corridor_of_horizon_six_has_its_known_values(right, objective, slope, variance_total, variance_to_go):
    outcomes = corridor_outcomes(right, 6)
    total, to_go = (outcomes.estimates(weighting(1.0)(outcomes.episodes)) for weighting in (TotalReturn, RewardToGo))
    assert len(outcomes.probability) == 51
    assert outcomes.probability.sum().item() == pytest.approx(1, rel=1e-14)
    assert outcomes.objective(outcomes.theta).item() == pytest.approx(objective, abs=5e-7)
    assert outcomes.slope().item() == pytest.approx(slope, abs=5e-7)
    close(outcomes.mean(total), outcomes.slope())
    close(outcomes.mean(to_go), outcomes.slope())
    assert outcomes.variance(total).item() == pytest.approx(variance_total, abs=5e-7)
    assert outcomes.variance(to_go).item() == pytest.approx(variance_to_go, abs=5e-7)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
@pytest.mark.parametrize("right", [0.3, 0.5])
def test_every_unbiased_weighting_has_the_gradient_of_the_objective_as_its_mean(right, gamma):
    outcomes = corridor_outcomes(right, 7)
    batch = replace(
        outcomes.episodes, value=torch.linspace(-4, 9, 7, dtype=torch.float64).expand_as(outcomes.episodes.reward)
    )
    for weighting in (
        TotalReturn(gamma),
        RewardToGo(gamma),
        ReturnMinusBaseline(gamma, Constant(-3.0)),
        ReturnMinusBaseline(gamma, Constant(-3.0), returns="total"),
        ReturnMinusBaseline(gamma, critic),
        GeneralizedAdvantage(gamma, 1.0, critic),
    ):
        close(outcomes.mean(outcomes.estimates(with_factor(weighting)(batch))), outcomes.slope(gamma))


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_gae_with_the_true_value_function_is_unbiased_for_every_lambda(lam, gamma):
    outcomes = corridor_outcomes(0.3, 6)
    batch = replace(outcomes.episodes, value=true_values(outcomes, gamma))
    psi = with_factor(GeneralizedAdvantage(gamma, lam, critic))(batch)
    close(outcomes.mean(outcomes.estimates(psi)), outcomes.slope(gamma))


def test_gae_without_a_value_function_and_without_lambda_sees_nothing_of_the_future():
    outcomes = corridor_outcomes(0.5, 6)
    psi = GeneralizedAdvantage(1.0, 0.0, Constant(0.0))(outcomes.episodes)
    close(outcomes.mean(outcomes.estimates(psi)), torch.zeros(1, dtype=torch.float64))


def test_dropping_the_discount_of_the_states_gives_the_gradient_of_something_else():
    outcomes = corridor_outcomes(0.5, 6)
    kept, dropped = (
        outcomes.mean(outcomes.estimates(with_factor(RewardToGo(0.9), discounting)(outcomes.episodes)))
        for discounting in (True, False)
    )
    close(kept, outcomes.slope(0.9))
    assert dropped > 1.1 * kept


BANDITS = [bandit_outcomes([0.0, 3.0, 5.0], [1.0, 0.7, 0.0]), bandit_outcomes([0.2, -0.4], [3.0, -1.0])]
SMALL = [(outcomes, size) for outcomes in BANDITS for size in (1, 2, 3, 4)] + [(corridor_outcomes(0.5, 4), 2)]


@pytest.mark.parametrize(("outcomes", "size"), SMALL)
def test_a_batch_mean_with_the_episode_itself_shrinks_the_mean_gradient_by_one_minus_one_over_n(outcomes, size):
    mean = outcomes.mean_over_batches(ReturnMinusBaseline(1.0, BatchMean()), size)
    close(mean, (1 - 1 / size) * outcomes.slope())


@pytest.mark.parametrize(("outcomes", "size"), SMALL)
def test_a_batch_mean_that_leaves_the_episode_out_does_not_shrink_the_mean_gradient(outcomes, size):
    close(outcomes.mean_over_batches(ReturnMinusBaseline(1.0, LeaveOneOut()), size), outcomes.slope())


@pytest.mark.parametrize(("outcomes", "size"), SMALL)
def test_a_running_mean_is_unbiased_only_without_the_current_batch(outcomes, size):
    weightings = {include: ReturnMinusBaseline(1.0, RunningMean(include)) for include in (False, True)}
    close(outcomes.mean_over_batches(weightings[False], size), outcomes.slope())
    close(outcomes.mean_over_batches(weightings[True], size), (1 - 1 / size) * outcomes.slope())


def test_the_three_armed_bandit_has_its_known_values():
    outcomes = BANDITS[0]
    assert outcomes.objective(outcomes.theta).item() == pytest.approx(0.08884951, abs=5e-9)
    assert outcomes.slope().tolist() == pytest.approx([0.005376, 0.072421, -0.077797], abs=5e-7)


def bandit_variance(b):
    return BANDITS[0].variance(BANDITS[0].estimates(ReturnMinusBaseline(1.0, Constant(b))(BANDITS[0].episodes)))


def test_the_variance_is_a_parabola_of_the_baseline_with_its_vertex_at_the_known_one():
    # Three points fix a parabola; it must then pass through all others.
    low, zero, high = (bandit_variance(b) for b in (-1.0, 0.0, 1.0))
    square, slope = (high + low) / 2 - zero, (high - low) / 2
    assert (-slope / (2 * square)).item() == pytest.approx(0.63166498, abs=5e-9)
    for b in (-30.0, -0.3, 0.5, 0.63166498, 2.0, 17.0):
        close(bandit_variance(b), zero + slope * b + square * b**2)


@pytest.mark.parametrize("distance", [0.01, 0.3, 1.0, 20.0])
def test_the_variance_is_symmetric_about_the_best_baseline_and_least_there(distance):
    score, reward = BANDITS[0].score[:, 0], BANDITS[0].episodes.reward[:, 0]
    weight = BANDITS[0].probability * score.square().sum(-1)
    best = (weight @ reward / weight.sum()).item()  # E[‖s‖² r] / E[‖s‖²]
    assert best == pytest.approx(0.63166498, abs=5e-9)
    close(bandit_variance(best - distance), bandit_variance(best + distance))
    assert bandit_variance(best + distance) > bandit_variance(best)
