import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.algorithms.heads import Softmax
from pglab.algorithms.losses import Estimator, standardize
from pglab.algorithms.objectives import Seen, Surrogate
from pglab.algorithms.weightings import RewardToGo
from tests.algorithms.enumeration import bandit_outcomes, corridor_outcomes
from tests.algorithms.episodes import batch_of, ragged, random_batch

BANDIT = bandit_outcomes([0.0, 3.0, 5.0], [1.0, 0.7, 0.0])


def surrogate_loss(log_prob, psi):
    return Surrogate()(Seen(log_prob, psi)).sum(-1)


def close(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


def on_policy_loss(outcomes, theta, reward):
    """The mean value of the loss that a run at θ prints: fresh episodes from π_θ at every θ."""
    log_prob = outcomes.log_prob(theta)
    return (log_prob.sum(-1).exp() * surrogate_loss(log_prob, reward)).sum()


@given(st.integers(1, 5), st.integers(1, 30), st.integers(0, 2**31))
def test_the_gradient_of_the_surrogate_is_minus_the_hand_summed_score_function(runs, steps, seed):
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(runs, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    action = torch.randint(0, 3, (runs, steps), generator=generator)
    psi = torch.randn(runs, steps, dtype=torch.float64, generator=generator)
    log_prob = Softmax().log_prob(theta[:, None].expand(-1, steps, -1), action)
    (gradient,) = torch.autograd.grad(surrogate_loss(log_prob, psi).sum(), theta)
    by_hand = torch.zeros_like(theta)
    for k in range(runs):
        pi = theta[k].detach().softmax(0)
        for t in range(steps):
            score = -pi
            score[action[k, t]] += 1
            by_hand[k] += psi[k, t] * score
    close(gradient, -by_hand)


@pytest.mark.parametrize("outcomes", [BANDIT, corridor_outcomes(0.3, 6)], ids=["bandit", "corridor"])
def test_the_gradient_of_the_surrogate_is_minus_the_gradient_of_the_objective(outcomes):
    psi, probability = RewardToGo(1.0)(outcomes.episodes), outcomes.probability

    def loss(theta):
        return probability @ surrogate_loss(outcomes.log_prob(theta), psi)

    close(torch.autograd.functional.jacobian(loss, outcomes.theta), -outcomes.slope())


@pytest.mark.parametrize("step", [0.1, 1e-3])
def test_the_value_of_the_loss_does_not_follow_the_objective(step):
    uphill = BANDIT.theta + step * BANDIT.slope()
    gain = BANDIT.objective(uphill) - BANDIT.objective(BANDIT.theta)
    before, after = (on_policy_loss(BANDIT, theta, BANDIT.episodes.reward) for theta in (BANDIT.theta, uphill))
    assert gain > 0
    assert after > before  # the policy improves and the loss gets worse


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.floats(0.1, 5))
def test_with_one_reward_for_all_actions_the_loss_is_the_entropy_though_there_is_nothing_to_learn(logits, reward):
    outcomes = bandit_outcomes(logits, [reward] * 3)
    close(outcomes.slope(), torch.zeros(3, dtype=torch.float64))
    loss = on_policy_loss(outcomes, outcomes.theta, outcomes.episodes.reward)
    close(loss, reward * Softmax().entropy(outcomes.theta))


def test_the_surrogate_is_a_loss_of_each_step():
    log_prob = torch.arange(24.0).reshape(2, 3, 4)
    psi = torch.tensor([1.0, 0.0, 2.0, -1.0])
    assert torch.equal(Surrogate()(Seen(log_prob, psi)), log_prob * torch.tensor([-1.0, 0.0, -2.0, 1.0]))


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("steps", [1 / 8, 1.0, 1 / 5]), ("episodes", [1 / 2, 1.0, 1 / 4]), ("sum", [1.0, 1.0, 1.0])],
)
def test_a_reduction_divides_by_its_count_and_a_run_without_episodes_by_one(reduction, expected):
    steps, episodes = torch.tensor([8, 0, 5]), torch.tensor([2, 0, 4])
    scale = Estimator(reduction=reduction).scale(steps, episodes)
    assert scale.dtype == torch.float32
    assert torch.equal(scale, torch.tensor(expected))


@given(ragged)
def test_the_mean_over_steps_and_over_episodes_are_what_they_say(rewards):
    batch = batch_of(rewards, extra_episodes=2, extra_steps=3)
    steps, episodes = batch.mask.sum((-2, -1)), batch.mask[..., 0].sum(-1)
    total = sum(map(sum, rewards))
    means = {"steps": total / sum(map(len, rewards)), "episodes": total / len(rewards), "sum": total}
    for reduction, mean in means.items():
        scaled = Estimator(reduction=reduction).scale(steps, episodes) * batch.reward.sum()
        assert scaled.item() == pytest.approx(mean, rel=1e-6, abs=1e-6)


@given(ragged, st.integers(0, 3))
def test_standardized_weights_have_mean_zero_and_deviation_one_over_the_steps_alone(rewards, padding):
    batch = batch_of(rewards, extra_episodes=padding, extra_steps=padding)
    off_the_mask = torch.where(batch.mask, batch.reward, 1e6)
    result = standardize(off_the_mask, batch.mask)
    steps = [r for row in rewards for r in row]
    mean = sum(steps) / len(steps)
    deviation = math.sqrt(sum((r - mean) ** 2 for r in steps) / len(steps))
    expected = torch.where(batch.mask, (batch.reward - mean) / (deviation + 1e-8), 0.0)
    torch.testing.assert_close(result, expected, rtol=1e-7, atol=1e-7)
    assert not result[~batch.mask].any()
    own = result[batch.mask]
    assert own.mean().item() == pytest.approx(0, abs=1e-9)
    if deviation > 1e-3:
        assert own.std(correction=0).item() == pytest.approx(1, abs=2e-5)


def test_equal_weights_standardize_to_zero():
    batch = batch_of([[3.0, 3.0], [3.0]])
    assert not standardize(batch.reward, batch.mask).any()


@given(st.floats(-1e6, 1e6), st.integers(1, 20), st.integers(1, 60))
def test_weights_that_are_equal_but_for_rounding_standardize_to_zero(value, episodes, steps):
    psi = torch.full((episodes, steps), value)
    psi[::2] *= 1 + 2**-23
    assert not standardize(psi, torch.ones(episodes, steps, dtype=torch.bool)).any()


def test_each_run_is_standardized_on_its_own():
    batch = random_batch(2, 3)
    result = standardize(batch.reward, batch.mask)
    for j in range(2):
        for k in range(3):
            close(result[j, k], standardize(batch.reward[j, k], batch.mask[j, k]))


@given(st.floats(-3, 3), st.floats(0.5, 4))
def test_standardizing_forgets_the_offset_and_the_scale_of_the_weights(offset, scale):
    batch = random_batch(2)
    moved = standardize(offset + scale * batch.reward, batch.mask)
    torch.testing.assert_close(moved, standardize(batch.reward, batch.mask), rtol=1e-7, atol=1e-7)


def test_by_default_nothing_is_added_to_the_estimate():
    assert vars(Estimator()) == {
        "reduction": "steps",
        "normalize": False,
        "discount_states": False,
        "entropy_bonus": 0.0,
        "clip_norm": None,
        "clip_together": False,
        "min_episode_length": 0,
        "truncation": "end",
        "budget": 1.0,
        "kl_reference": 0.0,
        "kl_form": "k3",
        "kl_in": "loss",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "mean"}, "reduction='mean' is not one of steps, episodes, sum"),
        ({"truncation": "cut"}, "truncation='cut' is not one of end, bootstrap"),
        ({"entropy_bonus": -0.1}, "entropy_bonus=-0.1 must be at least 0"),
        ({"entropy_bonus": float("nan")}, "entropy_bonus=nan must be at least 0"),
        ({"clip_norm": 0.0}, "clip_norm=0.0 must be a number above 0"),
        ({"clip_norm": float("nan")}, "clip_norm=nan must be a number above 0"),
        ({"min_episode_length": -1}, "min_episode_length=-1 must be at least 0"),
    ],
)
def test_a_setting_without_meaning_is_refused_with_the_allowed_ones(options, message):
    with pytest.raises(ValueError, match=message):
        Estimator(**options)
