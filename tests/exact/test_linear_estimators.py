"""Mean and variance of the estimates on linear-quadratic problems, held against weightings run on every episode."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pglab.algorithms.baselines import Constant, LeaveOneOut
from pglab.algorithms.weightings import (
    GeneralizedAdvantage,
    ReturnMinusBaseline,
    RewardToGo,
    TotalReturn,
    discounted,
)
from pglab.exact.gaussian import Forms
from pglab.exact.linear_estimators import LinearEstimators
from pglab.exact.linear_quadratic import gradient, value_forms
from tests.exact.linear_cases import all_noise, batch_of, form_at, linear_case, played

GAMMA = 0.8
SHAPES = [(1, 1, 3), (1, 2, 2), (2, 1, 2), (1, 1, 1)]  # states, controls, horizon
CASES = [linear_case(seed, *shape) for seed, shape in enumerate(SHAPES)]
each_case = pytest.mark.parametrize("case", CASES, ids=str(SHAPES).strip("[]").replace("), (", ");(").split(";"))


def of_batch(batch, returns):
    """A baseline: the values in the batch."""
    return batch.value


def by_quadrature(case, weighting, value=None, discount_states=False):
    """Mean and variance of each number, from running the weighting on every episode of a quadrature."""
    xi, weight = all_noise(case)
    states, rewards, scores = played(case, xi)
    batch = batch_of(states, rewards, None if value is None else values_at(value, states))
    psi = weighting(batch)
    psi = (discounted(weighting, psi, GAMMA) if discount_states else psi)[:, 0].numpy()
    estimate = np.einsum("et,etp->ep", psi, scores)
    mean = weight @ estimate
    return mean, weight @ (estimate - mean) ** 2


def values_at(value, states):
    """A function of the state along the episodes, `[N, H]`."""
    if callable(value):
        return value(states.reshape(-1, states.shape[-1])).reshape(states.shape[:2])
    return form_at(value, states)


def agree(found, expected):
    mean, each = expected
    assert found.mean == pytest.approx(mean, abs=1e-10 * max(1.0, np.abs(mean).max()))
    assert found.each == pytest.approx(each, rel=1e-9)
    assert found.variance == pytest.approx(each.sum(), rel=1e-9)


def tables(case):
    """A quadratic function of the state that is no value function, and the true one by step."""
    n = len(case.problem.dynamics)
    form = np.random.default_rng(7).normal(size=(1 + n, 1 + n))
    return [form + form.T, value_forms(case.problem, case.policy, GAMMA)[:-1]]


@each_case
def test_total_return(case):
    estimators = LinearEstimators(case.problem, case.policy, GAMMA)
    agree(estimators.total_return(), by_quadrature(case, TotalReturn(GAMMA)))
    for table in tables(case):
        weighting = ReturnMinusBaseline(GAMMA, of_batch, "total")
        agree(estimators.total_return(table), by_quadrature(case, weighting, table))


@each_case
@pytest.mark.parametrize("kept", [False, True], ids=["without γ^t", "with γ^t"])
def test_reward_to_go(case, kept):
    estimators = LinearEstimators(case.problem, case.policy, GAMMA)
    agree(estimators.reward_to_go(discount_states=kept), by_quadrature(case, RewardToGo(GAMMA), discount_states=kept))
    constant = by_quadrature(case, ReturnMinusBaseline(GAMMA, Constant(-3.0)), discount_states=kept)
    agree(estimators.reward_to_go(-3.0, kept), constant)
    for table in tables(case):
        agree(
            estimators.reward_to_go(table, kept),
            by_quadrature(case, ReturnMinusBaseline(GAMMA, of_batch), table, kept),
        )


@each_case
@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_generalized_advantage(case, lam):
    estimators = LinearEstimators(case.problem, case.policy, GAMMA)
    for table in tables(case):
        for kept in (False, True):
            weighting = GeneralizedAdvantage(GAMMA, lam, of_batch)
            agree(estimators.gae(lam, table, kept), by_quadrature(case, weighting, table, kept))


def cubic(states):
    """No quadratic form of the state."""
    return 0.3 * states.sum(1) ** 3 - states[:, 0] * states[:, -1] + 0.5


@each_case
@pytest.mark.parametrize("kept", [False, True], ids=["without γ^t", "with γ^t"])
def test_of_any_other_function_of_the_state_the_mean_is_known(case, kept):
    estimators = LinearEstimators(case.problem, case.policy, GAMMA)
    weightings = {
        ReturnMinusBaseline(GAMMA, of_batch): estimators.reward_to_go(cubic, kept),
        ReturnMinusBaseline(GAMMA, of_batch, "total"): estimators.total_return(cubic),
        GeneralizedAdvantage(GAMMA, 0.6, of_batch): estimators.gae(0.6, cubic, kept),
        GeneralizedAdvantage(GAMMA, 0.0, of_batch): estimators.gae(0.0, cubic, kept),
    }
    for weighting, found in weightings.items():
        mean, _ = by_quadrature(case, weighting, cubic, kept)
        assert found.mean == pytest.approx(mean, abs=1e-10 * max(1.0, np.abs(mean).max()))
        assert np.isnan(found.variance)


def test_a_quadratic_form_may_be_given_as_a_function_and_a_state_of_four_numbers_may_not():
    case = linear_case(3, states=3, controls=2, horizon=4)
    estimators, (form, _) = LinearEstimators(case.problem, case.policy, GAMMA), tables(case)
    as_function = estimators.gae(0.5, lambda states: form_at(form, states), True)
    assert as_function.mean == pytest.approx(estimators.gae(0.5, form, True).mean, rel=1e-9)
    still = replace(case.problem, noise=np.zeros((3, 3)), start_spread=np.zeros((3, 3)))
    quiet = LinearEstimators(still, case.policy, GAMMA)
    as_function = quiet.gae(0.5, lambda states: form_at(form, states), True)
    assert as_function.mean == pytest.approx(quiet.gae(0.5, form, True).mean, rel=1e-9)
    large = linear_case(3, states=4, controls=2, horizon=3)
    with pytest.raises(ValueError, match="a state of 4 numbers is too large for quadrature, which goes to 3"):
        LinearEstimators(large.problem, large.policy, GAMMA).gae(0.5, cubic)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 2), st.integers(2, 6))
def test_unbiased_weightings_have_the_gradient_as_their_mean_and_biased_ones_have_not(seed, states, controls, horizon):
    case = linear_case(seed, states, controls, horizon)
    estimators = LinearEstimators(case.problem, case.policy, GAMMA)
    truth, (wrong, true) = gradient(case.problem, case.policy, GAMMA), tables(case)
    near = 1e-10 * np.abs(truth).max()
    for found in (
        estimators.total_return(), estimators.total_return(wrong), estimators.reward_to_go(wrong, True),
        estimators.gae(1.0, wrong, True), estimators.gae(0.3, true, True),
    ):  # fmt: skip
        assert found.mean == pytest.approx(truth, abs=near)
        assert found.each.min() >= 0
    for found in (estimators.reward_to_go(), estimators.gae(0.3, wrong, True)):
        assert np.abs(found.mean - truth).max() > 1e-4 * np.abs(truth).max()


@pytest.mark.parametrize("returns", ["rtg", "total"])
@pytest.mark.parametrize("kept", [False, True], ids=["without γ^t", "with γ^t"])
def test_leave_one_out_over_every_batch_of_two_episodes(returns, kept):
    case = linear_case(5, 1, 1, 2, noise=0.0)
    xi, weight = all_noise(case)
    states, rewards, scores = played(case, xi)
    first, second = (np.array(part) for part in zip(*product(range(len(xi)), repeat=2), strict=True))
    one, two = batch_of(states[first], rewards[first]), batch_of(states[second], rewards[second])
    batch = replace(
        one, **{name: torch.cat((getattr(one, name), getattr(two, name)), 1) for name in ("obs", "reward", "mask")}
    )
    weighting = ReturnMinusBaseline(GAMMA, LeaveOneOut(), returns)
    psi = (discounted(weighting, weighting(batch), GAMMA) if kept else weighting(batch)).numpy()
    estimate = sum(np.einsum("bt,btp->bp", psi[:, e], scores[index]) for e, index in enumerate((first, second))) / 2
    chance = weight[first] * weight[second]
    mean = chance @ estimate
    found = LinearEstimators(case.problem, case.policy, GAMMA).leave_one_out(2, returns, kept)
    agree(found, (mean, chance @ (estimate - mean) ** 2))


def test_the_variance_of_the_return_and_its_product_with_the_score():
    case = CASES[2]
    xi, weight = all_noise(case)
    _, rewards, scores = played(case, xi)
    returns = rewards @ GAMMA ** np.arange(rewards.shape[1])
    estimators = LinearEstimators(case.problem, case.policy, GAMMA)
    assert estimators.return_variance() == pytest.approx(weight @ (returns - weight @ returns) ** 2, rel=1e-10)
    for kept, decay in ((False, 1.0), (True, GAMMA)):
        along = np.einsum("t,etp->ep", decay ** np.arange(rewards.shape[1]), scores)
        assert estimators.return_times_score(kept) == pytest.approx(weight * returns @ along, abs=1e-10)


def test_on_a_longer_problem_the_variance_is_that_of_a_sample():
    case = linear_case(8, states=3, controls=2, horizon=8)
    noise = np.random.default_rng(0).normal(size=(20_000, 3 + 8 * 5))
    _, rewards, scores = played(case, noise)
    psi = TotalReturn(GAMMA)(batch_of(scores, rewards))[:, 0].numpy()
    estimate = np.einsum("et,etp->ep", psi, scores)
    found = LinearEstimators(case.problem, case.policy, GAMMA).total_return()
    error = estimate.std(0) / np.sqrt(len(estimate))
    assert np.abs((estimate.mean(0) - found.mean) / error).max() < 4.5
    squares = (estimate - found.mean) ** 2
    far = (squares.mean(0) - found.each) / (squares.std(0) / np.sqrt(len(estimate)))
    assert np.abs(far).max() < 4.5


def test_the_mean_of_a_product_of_forms_is_that_of_a_quadrature():
    generator = np.random.default_rng(1)
    rows, (m, n) = generator.normal(size=(4, 3)), generator.normal(size=(2, 3, 3))
    forms = Forms(rows, m + m.T, n + n.T)
    node, weight = np.polynomial.hermite_e.hermegauss(6)
    xi = np.array([(1.0, x, y) for x, y in product(node, repeat=2)])
    chance = np.array([a * b for a, b in product(weight, repeat=2)]) / weight.sum() ** 2
    a, b, c, d = (xi @ rows.T).T
    quadratic = {"M": np.einsum("ei,ij,ej->e", xi, forms.m, xi), "N": np.einsum("ei,ij,ej->e", xi, forms.n, xi)}
    for linear, values in (((), 1.0), ((0,), a), ((0, 1), a * b), ((2, 2), c * c), ((0, 1, 2, 3), a * b * c * d)):
        for names in ((), ("M",), ("N",), ("M", "N")):
            expected = chance @ (values * np.prod([np.ones(len(xi)), *(quadratic[name] for name in names)], axis=0))
            assert forms.mean(*linear, *names).item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_what_does_not_fit_is_refused():
    case = CASES[0]
    with pytest.raises(ValueError, match=r"gamma=-0\.1 is outside \[0, 1\]"):
        LinearEstimators(case.problem, case.policy, -0.1)
    estimators = LinearEstimators(case.problem, case.policy, GAMMA)
    with pytest.raises(ValueError, match=r"lam=2 is outside \[0, 1\]"):
        estimators.gae(2, 0.0)
    with pytest.raises(ValueError, match=r"a form of shape \(3, 3\) must be \(2, 2\), or \(3, 2, 2\) by step"):
        estimators.reward_to_go(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="episodes=1 must be at least 2"):
        estimators.leave_one_out(1)
