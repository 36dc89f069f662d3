"""What is measured about the gradient is right, and NaN where it does not apply."""

from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import weightings as w
from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid
from pglab.algorithms.losses import Estimator
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor
from pglab.envs.problems import random_mdp
from pglab.exact import estimators as exact
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.policy import policy_table, score_table
from pglab.exact.values import values
from pglab.models.networks import MLP, Tabular
from pglab.models.parameters import Gaussian, PyTorchDefault, Zeros
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnosed import COLUMNS
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.rollout import Waves
from tests.slow import first

SGD = torch.optim.SGD
CRITIC = b.Value(MLP((8,)), PyTorchDefault(), partial(torch.optim.Adam, lr=1e-2), fit_steps=2)
EVERY = GradientDiagnostics(every=1)


@pytest.fixture
def on_corridor(make_arm, make_shapes, measure):
    """Measures of the first update of many runs on the corridor at p = ½, and their estimates ĝ of dJ/dz."""

    def on_corridor(runs, **changes):
        shapes = make_shapes(world=corridor(), network=Tabular(), head=Sigmoid())
        arm = make_arm(
            **{"init": Zeros(), "optimizer": partial(SGD, lr=1.0), "updates": 1, "seeds": list(range(runs)), **changes}
        )
        bundle = measure(shapes, [arm])
        return bundle.history[0][0], bundle.parameters()[0]["weight"][:, 0, 0].astype(float)

    return on_corridor


@pytest.mark.parametrize(
    ("reduction", "episodes", "scale"), first(1, [("sum", 20, 20.0), ("episodes", 20, 1 / 20), ("sum", 5, 5.0)])
)
def test_the_variance_is_the_exact_one_on_average(on_corridor, reduction, episodes, scale):
    runs = 40_000 // episodes
    measures, estimate = on_corridor(runs, batch=BatchSize(episodes=episodes), estimator=Estimator(reduction=reduction))
    exactly = 733.0 * scale  # variance of the one-episode estimate, reward-to-go at p = ½
    error = measures.grad_variance.std() / np.sqrt(runs)
    assert error < 0.05 * exactly
    assert abs(measures.grad_variance.mean() - exactly) < 4 * error
    assert estimate.var() == pytest.approx(exactly, rel=0.15)


class WorthThree:
    """Ψ = 3 for every step to the right, 0 to the left: ĝ counts steps, and more so the longer the episodes."""

    def __call__(self, batch):
        return 3.0 * batch.action * batch.mask


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reduction", "batch"),
    [
        ("steps", BatchSize(steps=1200)),
        ("steps", BatchSize(episodes=100)),
        ("sum", BatchSize(steps=1200)),
        ("episodes", BatchSize(steps=1200)),
    ],
    ids=str,
)
def test_where_steps_are_random_the_variance_is_that_of_the_estimates_of_many_runs(on_corridor, reduction, batch):
    # Taking a ratio over steps for a sum over episodes would make it several times as large.
    measures, estimate = on_corridor(2000, batch=batch, estimator=Estimator(reduction), weighting=WorthThree())
    assert measures.grad_variance.mean() == pytest.approx(estimate.var(ddof=1), rel=0.15)


def test_the_baseline_removes_the_share_of_the_variance_that_it_does(on_corridor):
    constant = w.ReturnMinusBaseline(1.0, b.Constant(-12.0))
    measures, _ = on_corridor(
        2000, batch=BatchSize(episodes=40), estimator=Estimator(reduction="sum"), weighting=constant
    )
    plain = measures.grad_variance / (1 - measures.variance_removed)
    assert measures.grad_variance.mean() / 40 == pytest.approx(277.0, rel=0.08)
    assert plain.mean() / 40 == pytest.approx(733.0, rel=0.08)
    assert measures.variance_removed.mean() == pytest.approx(1 - 277 / 733, abs=0.05)


def test_the_exact_variance_is_that_of_pglab_exact(make_shapes):
    shapes = make_shapes(world=corridor(), network=Tabular(), head=Sigmoid())
    tables = [f(corridor(), shapes.policy(), {"weight": torch.zeros(1, 1)}) for f in (policy_table, score_table)]
    assert exact.reward_to_go(corridor(), *tables, 1.0).variance == pytest.approx(733.0)
    assert exact.reward_to_go(corridor(), *tables, 1.0, baseline=-12.0).variance == pytest.approx(277.0)


def test_the_signal_to_noise_ratio_is_of_the_same_variance(on_corridor):
    measures, estimate = on_corridor(300, batch=BatchSize(episodes=300), estimator=Estimator("episodes"))
    signal = np.maximum(estimate**2 - measures.grad_variance, 0)
    assert measures.grad_snr == pytest.approx(np.sqrt(signal / measures.grad_variance), rel=1e-3, abs=1e-3)
    assert np.sqrt(np.mean(measures.grad_snr**2)) == pytest.approx(2 / np.sqrt(733 / 300), rel=0.2)
    assert (measures.grad_snr == 0).any()


@pytest.mark.parametrize("bonus", [0.0, 5.0])
def test_objective_and_cosine_are_those_of_pglab_exact(make_arm, make_shapes, measure, bonus):
    world = random_mdp(4, states=6, horizon=50)
    shapes = make_shapes(world=world)
    arm = make_arm(init=Gaussian(0.5), optimizer=partial(SGD, lr=1e-3), gamma=0.9, updates=1, seeds=[3, 5, 8],
                   weighting=w.RewardToGo(0.9), estimator=Estimator(entropy_bonus=bonus))  # fmt: skip
    before = Bundle(shapes, [arm]).parameters()[0]
    bundle = measure(shapes, [arm])
    (measures,) = bundle.history[0]
    for row in range(3):
        named = {name: torch.from_numpy(array[row]) for name, array in before.items()}
        pi, score = policy_table(world, shapes.policy(), named), score_table(world, shapes.policy(), named)
        assert measures.objective[row] == pytest.approx(values(world, pi, 0.9).objective, rel=1e-12)
        truth = gradient_by_theorem(world, pi, score, 0.9)
        moved = [bundle.parameters()[0][name][row].astype(float) - before[name][row] for name in before]
        estimate = np.concatenate([array.ravel() for array in moved]) / 1e-3
        expected = estimate @ truth / np.linalg.norm(estimate) / np.linalg.norm(truth)
        assert abs(expected) < 0.999
        assert measures.exact_cosine[row] == pytest.approx(expected, abs=2e-3)


def test_the_two_halves_of_the_batch_are_compared(make_arm, make_shapes, measure):
    # With an even number of episodes, batches of each half alone make the two gradients.
    shapes = make_shapes()
    common = {"estimator": Estimator("sum"), "updates": 1, "optimizer": partial(SGD, lr=1e-4)}
    start = Bundle(shapes, [make_arm()]).parameters()[0]

    def step(episodes):
        arm = make_arm(batch=BatchSize(episodes=episodes), **common)
        bundle = measure(shapes, [arm])
        moved = [bundle.parameters()[0][name][0].astype(float) - start[name][0] for name in start]
        return np.concatenate([array.ravel() for array in moved]), bundle.history[0][0]

    for episodes in (2, 10, 32, 64):
        (first, _), (whole, measures) = step(episodes // 2), step(episodes)
        second = whole - first
        expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
        assert measures.half_cosine[0] == pytest.approx(expected, abs=5e-3)


def test_the_divergence_is_that_of_the_old_policy_from_the_new_over_the_batch(on_corridor):
    measures, z = on_corridor(20, batch=BatchSize(episodes=30), estimator=Estimator("steps"))
    old, new = 0.5, 1 / (1 + np.exp(-z))  # every state looks the same
    expected = old * np.log(old / new) + (1 - old) * np.log((1 - old) / (1 - new))
    assert measures.kl == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert (measures.kl > 1e-4).any()


def test_the_divergence_is_a_mean_over_steps_and_not_over_blocks(make_arm, make_shapes):
    played = []
    waves = Waves(32)
    shapes = make_shapes(player=lambda *given: played.append(waves(*given)) or played[-1])
    bundle = Bundle(shapes, [make_arm(batch=BatchSize(steps=2500), updates=1)], EVERY)
    old = bundle.parameters()[0]
    ((_, measures),) = bundle.step()
    obs = played[0].obs[:-1].numpy()

    def log_pi(named):
        hidden = np.tanh(obs @ named["weight_1"][0].T + named["bias_1"][0])
        z = hidden @ named["weight_2"][0].T + named["bias_2"][0]
        return z - np.logaddexp(z[:, :1], z[:, 1:])

    before, after = log_pi(old), log_pi(bundle.parameters()[0])
    assert measures.kl[0] == pytest.approx((np.exp(before) * (before - after)).sum(-1).mean(), rel=1e-3)


class Knowing(MLP):
    """V(s) = 7 + slope · (2 - t), from the number of steps in the third place of an observation."""

    slope = 1.0

    def forward(self, parameters, x):
        return self.slope * (2.0 - x[..., 2:3]) + 7.0


class Countdown(CartPole):
    """Shows in the third place how many steps there have been."""

    def reset(self, uniform):
        first = super().reset(uniform)
        return (*first, torch.zeros_like(first[0]))

    def observe(self, state):
        obs = super().observe(state[:-1]).clone()
        obs[..., 2] = state[-1]
        return obs

    def step(self, state, action, uniform):
        after = super().step(state[:-1], action, uniform)
        return after._replace(state=(*after.state, state[-1] + 1))


@pytest.mark.parametrize(("slope", "explained"), [(0.0, 0.0), (1.0, 1.0), (0.5, 0.75), (-1.0, -3.0)])
def test_a_critic_explains_the_variance_that_it_does(make_arm, make_shapes, monkeypatch, slope, explained):
    monkeypatch.setattr(Knowing, "slope", slope)
    critic = b.Value(Knowing((1,)), Zeros(), partial(SGD, lr=0.1))
    arm = make_arm(weighting=w.ReturnMinusBaseline(1.0, critic), batch=BatchSize(episodes=8), updates=1)
    bundle = Bundle(make_shapes(world=Countdown(2)), [arm], EVERY)
    bundle._arms[0].weigher.critic.fit = lambda *_: None  # its network has nothing to learn
    ((_, measures),) = bundle.step()
    assert measures.explained_variance == pytest.approx([explained], abs=1e-6)


def names_of_nan(measures):
    return {name for name in COLUMNS if np.isnan(getattr(measures, name)).all()} - {"optimal_action"}  # of bandits


EXACT = {"objective", "exact_cosine"}
OF_BASELINE = {"variance_removed", "explained_variance"}
OF_TWO = {"grad_variance", "grad_snr", "half_cosine"}


@pytest.mark.parametrize(
    ("changes", "of_shapes", "expected"),
    [
        ({}, {}, OF_BASELINE | EXACT),
        ({"weighting": w.ReturnMinusBaseline(1.0, b.NoBaseline())}, {}, OF_BASELINE | EXACT),
        ({"weighting": w.ReturnMinusBaseline(1.0, b.LeaveOneOut())}, {}, {"explained_variance"} | EXACT),
        ({"weighting": w.ReturnMinusBaseline(1.0, CRITIC)}, {}, EXACT),
        ({"batch": BatchSize(episodes=1)}, {}, OF_BASELINE | EXACT | OF_TWO),
        ({"batch": BatchSize(episodes=1)}, {"world": corridor()}, OF_BASELINE | OF_TWO),
        ({}, {"world": corridor()}, OF_BASELINE),
        ({}, {"head": ActionBlindSigmoid(), "world": corridor()}, OF_BASELINE | EXACT | {"kl"}),
        ({"estimator": Estimator(min_episode_length=61)}, {}, OF_BASELINE | EXACT | OF_TWO),
    ],
)
def test_what_does_not_apply_is_nan_and_all_else_is_a_number(
    make_arm, make_shapes, measure, changes, of_shapes, expected
):
    (measures,) = measure(make_shapes(**of_shapes), [make_arm(updates=1, **changes)]).history[0]
    assert names_of_nan(measures) == expected


def test_a_problem_with_too_many_states_is_not_solved(make_arm, make_shapes, measure):
    shapes, arm = make_shapes(world=corridor()), make_arm(updates=1)
    for states, expected in ((4, OF_BASELINE), (3, OF_BASELINE | EXACT)):
        (measures,) = measure(shapes, [arm], GradientDiagnostics(1, exact_states=states)).history[0]
        assert names_of_nan(measures) == expected


def test_a_run_that_diverges_is_measured_without_a_warning(make_arm, make_shapes, measure):
    wild, sane = make_arm(init=Gaussian(1e38), seeds=[0, 1]), make_arm(updates=3)
    history = measure(make_shapes(world=corridor(20)), [wild, sane]).history
    assert history[0][0].diverged.all()
    assert np.isnan(history[0][0].grad_variance).all()
    assert all(np.isfinite(measures.grad_variance).all() for measures in history[1])


@pytest.mark.parametrize(("given", "said"), [({"every": 0}, "every=0"), ({"exact_states": -1}, "exact_states=-1")])
def test_settings_out_of_range_are_named(given, said):
    with pytest.raises(ValueError, match=said):
        GradientDiagnostics(**given)
