"""Actions that are numbers: what is known exactly of estimates there, and verdicts on them."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms.baselines import BatchMean, Constant, LeaveOneOut, NoBaseline, RunningMean, Value
from pglab.algorithms.beta import Beta
from pglab.algorithms.gaussian import Gaussian, StateGaussian, TanhGaussian
from pglab.algorithms.heads import Softmax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.rewards import Sign
from pglab.algorithms.weightings import (
    ExponentSlip,
    GeneralizedAdvantage,
    ReturnMinusBaseline,
    RewardToGo,
    TotalReturn,
)
from pglab.envs.continuous_bandit import ContinuousBandit
from pglab.envs.lqr import lqr
from pglab.exact.linear_quadratic import value_forms
from pglab.models.networks import MLP, Linear
from pglab.models.parameters import Gaussian as GaussianInit
from pglab.training.arm import Arm, BatchSize
from pglab.training.bundle import Shapes
from pglab.training.rollout import Waves
from pglab.verify.point import Effort, judge
from pglab.verify.setting import solve
from pglab.verify.trial import Trial
from tests.exact.test_sampling_numbers import OneSigma, ScoredAsCut, UntransformedEntropy, WithoutJacobian
from tests.slow import first

GAMMA = 0.8
LQR = lqr(1, states=2, controls=2, horizon=4)
BANDIT = ContinuousBandit([0.3, -0.5], [1.0, 0.5], noise=0.1)
ADAM = partial(torch.optim.Adam, lr=0.01)
EFFORT = Effort(batches=400, cosine_episodes=(), cosine_batches=2)


def on(world, head, weighting, network=None, episodes=4, **estimator):
    """A setting at the parameters of a seed."""
    choices = Estimator(**{"reduction": "episodes", "discount_states": True, **estimator})
    size = BatchSize(episodes=episodes)
    arm = Arm(weighting, GaussianInit(0.3), partial(torch.optim.SGD, lr=0.1), choices, size, GAMMA, 1, [3])
    shapes = Shapes(world, head, network or Linear(), Waves(32), torch.device("cpu"))
    return solve(shapes, arm, "problem", 3)


def critic(network):
    return Value(network, GaussianInit(0.5), ADAM)


UNBIASED = [
    TotalReturn(GAMMA),
    RewardToGo(GAMMA),
    *(
        ReturnMinusBaseline(GAMMA, baseline, returns)
        for baseline in (NoBaseline(), Constant(-2.0), LeaveOneOut(), RunningMean(), critic(Linear()))
        for returns in ("rtg", "total")
    ),
    GeneralizedAdvantage(GAMMA, 1.0, Constant(-2.0)),
    GeneralizedAdvantage(GAMMA, 1.0, critic(Linear())),
]
BIASED = [
    *(ReturnMinusBaseline(GAMMA, b, r) for b in (BatchMean(), RunningMean(True)) for r in ("rtg", "total")),
    *(GeneralizedAdvantage(GAMMA, 0.5, baseline) for baseline in (Constant(-2.0), LeaveOneOut(), critic(Linear()))),
]
CASES = [(LQR, Gaussian(log_sigma=-0.4)), (BANDIT, Gaussian(log_sigma=0.3)), (BANDIT, Beta())]


def name_of(weighting):
    """Its class, and what else tells it from the others."""
    baseline = getattr(weighting, "baseline", None)
    more = [type(baseline).__name__, getattr(weighting, "returns", "")] if baseline else []
    return " ".join([type(weighting).__name__, *more])


@pytest.mark.parametrize(("world", "head"), CASES, ids=["lqr", "bandit gaussian", "bandit beta"])
@pytest.mark.parametrize("weighting", UNBIASED, ids=name_of)
def test_the_exact_mean_of_an_unbiased_weighting_is_the_gradient(world, head, weighting):
    setting = on(world, head, weighting)
    exact = Trial.begin(setting, 100, 1e-3).exact
    assert exact is not None
    assert exact.is_independent
    assert setting.bias == ()
    assert exact.mean == pytest.approx(setting.gradient, abs=1e-10 * max(1.0, np.abs(setting.gradient).max()))
    assert exact.variance is not None


@pytest.mark.parametrize("weighting", first(1, BIASED), ids=name_of)
def test_the_exact_mean_of_a_biased_weighting_is_what_is_measured_on_lqr(weighting):
    setting = on(LQR, Gaussian(), weighting)
    trial = Trial.begin(setting, 2000, 1e-3)
    assert trial.exact is not None
    assert trial.sample.z(trial.exact.mean) < 4.5
    assert np.abs(trial.exact.mean - setting.gradient).max() > 0.01 * np.abs(setting.gradient).max()
    point, _, _ = judge(setting, EFFORT, 1)
    shrunk = getattr(weighting, "returns", "rtg") == "total"  # by the episode's own share of its baseline
    assert point.verdict == ("unbiased up to scale" if shrunk else "biased as declared")


@pytest.mark.parametrize("weighting", [RewardToGo(GAMMA), GeneralizedAdvantage(GAMMA, 0.5, NoBaseline())], ids=name_of)
def test_without_the_powers_of_gamma_the_exact_mean_is_what_is_measured(weighting):
    trial = Trial.begin(on(LQR, Gaussian(), weighting, discount_states=False), 2000, 1e-3)
    assert trial.exact is not None
    assert trial.sample.z(trial.exact.mean) < 4.5
    assert trial.setting.bias[0] in (
        "the factor γ^t is dropped",
        "λ < 1 trusts a value function that is not the true one",
    )


HEADS = [
    Gaussian(log_sigma=-0.4), StateGaussian(), Gaussian("action", log_sigma=-0.4), TanhGaussian(log_sigma=-0.4), Beta(),
]  # fmt: skip


@pytest.mark.parametrize("network", first(1, [Linear(), MLP((8,))]), ids=["linear", "mlp"])
@pytest.mark.parametrize("head", HEADS, ids=repr)
def test_every_head_is_unbiased_on_the_bandit_and_its_exact_variance_is_what_is_measured(head, network):
    point, _, _ = judge(on(BANDIT, head, RewardToGo(GAMMA), network), replace(EFFORT, batches=2000), 1)
    assert point.verdict == "unbiased"
    assert point.exact_variance == pytest.approx(point.variance, rel=0.25)


def test_on_lqr_the_exact_variance_is_what_is_measured():
    head = Gaussian(log_sigma=-0.4)
    point, _, _ = judge(on(LQR, head, RewardToGo(GAMMA)), replace(EFFORT, batches=2000), 1)
    assert point.verdict == "unbiased"
    assert point.exact_variance == pytest.approx(point.variance, rel=0.25)


@pytest.mark.parametrize("world", [LQR, BANDIT], ids=["lqr", "bandit"])
def test_the_entropy_bonus_adds_its_own_gradient(world):
    trial = Trial.begin(on(world, Gaussian(), RewardToGo(GAMMA), entropy_bonus=100.0), 500, 1e-3)
    assert trial.exact is not None
    added = trial.exact.mean - trial.setting.gradient
    assert added == pytest.approx([0.0] * (len(added) - 2) + [100.0 * world.horizon] * 2)
    assert trial.sample.z(trial.exact.mean) < 4.5


@pytest.mark.parametrize("baseline", [NoBaseline(), BatchMean()], ids=repr)
def test_a_head_that_declares_its_bias_is_biased_as_declared(baseline):
    setting = on(BANDIT, Gaussian("log_prob"), ReturnMinusBaseline(GAMMA, baseline))
    assert setting.bias[0] == "log π is that of the clipped action, as if it had been drawn"
    point, _, _ = judge(setting, EFFORT, 1)
    assert point.verdict == "biased as declared"
    sound = on(BANDIT, Gaussian("action"), ReturnMinusBaseline(GAMMA, baseline))
    assert setting.gradient == pytest.approx(sound.gradient)
    if point.exact_mean is not None:
        assert point.z_of_mean < 4.5
        assert np.abs(point.exact_mean - setting.gradient).max() > 0.05


@pytest.mark.parametrize(
    "head",
    [ScoredAsCut("action"), WithoutJacobian(), OneSigma(), UntransformedEntropy()],
    ids=lambda h: type(h).__name__,
)
def test_a_head_with_a_mistake_has_a_fault_and_the_gradient_of_what_it_samples(head):
    setting = on(BANDIT, head, RewardToGo(GAMMA))
    assert setting.head_fault is not None
    parent = type(head).__mro__[1]("action") if isinstance(head, ScoredAsCut) else type(head).__mro__[1]()
    assert setting.gradient == pytest.approx(on(BANDIT, parent, RewardToGo(GAMMA)).gradient, abs=1e-3)
    assert Trial.begin(setting, 100, 1e-3).exact is None


def test_the_gradient_of_a_policy_on_lqr_with_a_mistake_is_that_of_what_it_samples_too():
    wrong, sound = (on(LQR, head, RewardToGo(GAMMA)) for head in (OneSigma(), Gaussian()))
    assert wrong.head_fault is not None
    assert wrong.gradient == pytest.approx(sound.gradient)


def test_a_critic_that_is_a_quadratic_function_of_the_state_is_read_off_and_another_one_is_not():
    solved = on(LQR, Gaussian(), RewardToGo(GAMMA)).solved

    class Known:
        def values(self, row, obs):
            phi = torch.cat((torch.ones_like(obs[..., :1]), obs), -1)
            return (phi @ torch.from_numpy(form).float() * phi).sum(-1)

    form = value_forms(LQR, solved.policy, GAMMA)[0]
    assert solved.value_of(Known()) == pytest.approx(form, abs=1e-4 * np.abs(form).max())
    generators = [torch.Generator().manual_seed(0)]
    network = critic(MLP((8,))).critic(LQR.observation, generators, torch.device("cpu"))
    assert callable(solved.value_of(network))
    large = lqr(1, states=4, controls=1, horizon=2)
    network = critic(MLP((8,))).critic(large.observation, generators, torch.device("cpu"))
    assert on(large, Gaussian(), RewardToGo(GAMMA)).solved.value_of(network) is None


def test_the_mean_of_advantages_by_any_critic_is_what_is_measured():
    trial = Trial.begin(on(LQR, Gaussian(), GeneralizedAdvantage(GAMMA, 0.5, critic(MLP((8,))))), 2000, 1e-3)
    assert trial.is_known
    assert trial.exact.variance is None
    assert trial.sample.z(trial.exact.mean) < 4.5
    assert np.abs(trial.exact.mean - trial.setting.gradient).max() > 0.01 * np.abs(trial.setting.gradient).max()


@pytest.mark.parametrize(
    ("world", "head", "network"),
    [(LQR, StateGaussian(), Linear()), (LQR, Gaussian(), MLP((4,))), (lqr(0), TanhGaussian(), Linear())],
    ids=["σ of the state", "mlp", "bounded"],
)
def test_where_j_is_not_known_it_is_said(world, head, network):
    with pytest.raises(ValueError, match=r"choose network=linear, head=gaussian|needs actions with bounds"):
        on(world, head, RewardToGo(GAMMA), network)


def test_what_has_no_formula_is_measured_all_the_same():
    slip = on(BANDIT, Beta(), ExponentSlip(GAMMA))
    point, _, _ = judge(slip, EFFORT, 1)
    assert (point.verdict, point.exact_mean) == ("biased as declared", None)
    changed = replace(slip, arm=replace(slip.arm, weighting=RewardToGo(GAMMA), rewards=Sign()))
    assert Trial.begin(changed, 100, 1e-3).exact is None
    assert slip.solved.trajectories(10) is None


def test_a_head_of_indices_does_not_fit():
    with pytest.raises(ValueError, match="needs actions that can be counted"):
        on(LQR, Softmax(), RewardToGo(GAMMA))
