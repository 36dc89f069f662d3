"""Natural gradients and trust regions: directions, lengths, and bits."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import objectives as o
from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor
from pglab.envs.problems import random_mdp, two_state_loop
from pglab.exact.gradients import fisher_information, gradient_by_autograd
from pglab.exact.policy import policy_table, score_table
from pglab.models.networks import MLP, Linear, Tabular
from pglab.models.parameters import Gaussian, PyTorchDefault
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.fisher import conjugate_gradients, natural_gradient
from pglab.training.natural import Natural
from pglab.training.observations import Standardized
from pglab.training.segments import Segments
from pglab.training.trust_region import TrustRegion
from tests.training.outcome import policies, rows_of

SGD = torch.optim.SGD


def gae(**changes):
    critic = b.Value(MLP((8,)), PyTorchDefault(), partial(torch.optim.Adam, lr=1e-2), fit_steps=2, **changes)
    return w.GeneralizedAdvantage(0.97, 0.9, critic)


def lesson_of(bundle):
    kept = bundle._kept(bundle._arms, bundle._play(bundle._arms))
    ((_, lesson),) = bundle._lessons(bundle._arms, kept, *bundle._weigh(bundle._arms, kept))
    return lesson


def dense_fisher(lesson, row):
    """1/n Σ_t Σ_a π ∇log π ∇log πᵀ, written out in double precision, `[P, P]`."""
    steps = np.repeat(lesson.episodes.run, lesson.episodes.length) == row
    obs, layout = lesson.episodes.obs[:-1][torch.from_numpy(steps)], lesson.policy.model.layout
    leaf = lesson.parameters[row].double().requires_grad_()
    named = {name: part[None] for name, part in layout.unflatten(leaf).items()}
    log_pi = lesson.policy.model(named, obs[None].double())[0].log_softmax(-1)
    fisher = torch.zeros(len(leaf), len(leaf), dtype=torch.float64)
    for each in log_pi.flatten():
        (score,) = torch.autograd.grad(each, leaf, retain_graph=True)
        fisher += each.detach().exp() * torch.outer(score, score)
    return fisher / len(obs)


def small_lesson(make_arm, make_shapes, **changes):
    plain = {"batch": BatchSize(steps=20), "seeds": [0, 1, 2], "objective": o.Ratio(), "step_rule": TrustRegion()}
    return lesson_of(Bundle(make_shapes(network=MLP((3,))), [make_arm(**{**plain, **changes})]))


@pytest.mark.parametrize("damping", [3.0, 0.01])
def test_a_natural_gradient_solves_the_damped_system_that_is_written_out(make_arm, make_shapes, damping):
    lesson = small_lesson(make_arm, make_shapes)
    gradient = lesson.estimate().gradient
    found = natural_gradient(lesson, gradient, damping, 60).double()
    for row in range(3):
        system = dense_fisher(lesson, row) + damping * torch.eye(gradient.shape[1])
        torch.testing.assert_close(
            found[row], torch.linalg.solve(system, gradient[row].double()), rtol=1e-3, atol=1e-3 * float(found.max())
        )


def test_conjugate_gradients_solve_each_row_and_leave_it_once_it_is_solved():
    factor = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    matrices = factor @ factor.mT + 0.1 * torch.eye(4)
    matrices[0] = 2 * torch.eye(4)
    right, asked = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0] * 4, [1.0, -1.0, 0.0, 2.0]]), []

    def product(vector, rows):
        asked.append(rows.tolist())
        return (matrices @ vector[..., None])[..., 0]

    found = conjugate_gradients(product, right, 10)
    torch.testing.assert_close(found, torch.linalg.solve(matrices, right), rtol=1e-3, atol=1e-4)
    assert asked[:2] == [[0, 2], [2]]
    assert len(asked) < 10
    assert conjugate_gradients(lambda vector, rows: vector * torch.nan, right, 10)[[0, 2]].isnan().all()


def test_a_natural_gradient_does_not_depend_on_the_reduction(make_arm, make_shapes):
    steps, episodes, total = (
        natural_gradient(lesson, lesson.estimate().gradient, 0.1, 5)
        for reduction in ("steps", "episodes", "sum")
        for lesson in [small_lesson(make_arm, make_shapes, estimator=Estimator(reduction=reduction))]
    )
    for other in (episodes, total):
        torch.testing.assert_close(other, steps, rtol=1e-3, atol=1e-3 * float(steps.abs().max()))


def test_the_full_step_of_a_trust_region_is_as_long_as_the_quadratic_model_allows(make_arm, make_shapes):
    lesson, rule = small_lesson(make_arm, make_shapes), TrustRegion(max_kl=1e-3, damping=0.01)
    step = rule.full_step(lesson, lesson.estimate().gradient)
    model = []
    for s, fisher in zip(step.double(), [dense_fisher(lesson, row) for row in range(3)], strict=True):
        model.append(float(s @ fisher @ s / 2))
        assert model[-1] + rule.damping * float(s @ s / 2) == pytest.approx(rule.max_kl, rel=1e-3)
    lesson.parameters.add_(step)
    assert lesson.kl().tolist() == pytest.approx(model, rel=0.1)


PROBLEMS = {
    "corridor": (corridor(20), Linear()),
    "loop": (two_state_loop(horizon=6, slip=0.1), Tabular()),
    "random": (random_mdp(seed=1, states=3, actions=2, horizon=8), MLP((2,))),
}


@pytest.fixture(params=PROBLEMS)
def solved(request, make_shapes):
    """The shapes of a finite MDP, and F⁻¹∇J of policies there."""
    mdp, network = PROBLEMS[request.param]
    shapes = make_shapes(world=mdp, network=network)

    def natural(parameters, gamma):
        policy = shapes.policy()
        named = {name: part.double() for name, part in policy.model.layout.unflatten(parameters).items()}
        fisher = fisher_information(mdp, policy_table(mdp, policy, named), score_table(mdp, policy, named))
        return np.linalg.pinv(fisher, rcond=1e-10, hermitian=True) @ gradient_by_autograd(mdp, policy, named, gamma)

    return shapes, natural


def test_an_exact_step_is_the_natural_gradient_of_the_objective(make_arm, solved):
    shapes, natural = solved
    arms = [
        make_arm(init=Gaussian(0.5), step_rule=Natural(exact=True), optimizer=partial(SGD, lr=1.0), seeds=[0, 1],
                 gamma=gamma, weighting=w.TotalReturn(gamma), batch=BatchSize(episodes=2))
        for gamma in (0.9, 0.5)
    ]  # fmt: skip
    bundle = Bundle(shapes, arms, GradientDiagnostics(every=1))
    before = bundle._runs.parameters.clone()
    lesson = lesson_of(bundle)
    direction = arms[0].step_rule.direction(lesson, torch.zeros_like(before)).double().numpy()
    for row in range(4):
        expected = natural(before[row], (0.9, 0.5)[row // 2])
        used = len(expected)
        np.testing.assert_allclose(-direction[row, :used], expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    measured = [measures.columns() for _, measures in bundle.step()]
    np.testing.assert_allclose(bundle._runs.parameters, before.numpy() - direction, rtol=1e-4, atol=1e-5)
    length, kl, known = (
        np.concatenate([of_arm[name] for of_arm in measured]) for name in ("step_length", "step_kl", "kl")
    )
    np.testing.assert_allclose(length, np.linalg.norm(direction, axis=1), rtol=1e-4)
    np.testing.assert_allclose(kl, known, rtol=1e-3, atol=1e-6)


def test_the_natural_gradient_of_a_large_batch_is_nearly_the_exact_one(make_arm, solved):
    shapes, natural = solved
    rule = Natural(damping=1e-6, iterations=30)
    arm = make_arm(
        init=Gaussian(0.5), step_rule=rule, gamma=0.9, weighting=w.RewardToGo(0.9), batch=BatchSize(episodes=4000),
        estimator=Estimator(reduction="episodes", discount_states=True),
    )  # fmt: skip
    lesson = lesson_of(Bundle(shapes, [arm]))
    expected = natural(lesson.parameters[0], 0.9)
    found = -rule.direction(lesson, lesson.estimate().gradient)[0, : len(expected)].double().numpy()
    lengths = np.linalg.norm(found), np.linalg.norm(expected)
    assert found @ expected / np.prod(lengths) > 0.97
    assert lengths[0] == pytest.approx(lengths[1], rel=0.15)


WORLDS = {
    "cartpole": {"world": CartPole(60)},
    "corridor": {"world": corridor(30), "network": Tabular()},
    "random": {"world": random_mdp(seed=0, horizon=20), "network": MLP((8,))},
}


@pytest.mark.parametrize("batch", [BatchSize(steps=100), Segments(3, 32)], ids=["episodes", "segments"])
@pytest.mark.parametrize("world", WORLDS)
def test_no_accepted_step_leaves_the_trust_region(make_arm, make_shapes, world, batch):
    rule = TrustRegion(max_kl=0.3, damping=1e-4)
    arm = make_arm(
        step_rule=rule, objective=o.Ratio(), batch=batch, weighting=gae(), gamma=0.97, seeds=[0, 1, 2], updates=8,
        init=Gaussian(0.5),
    )  # fmt: skip
    bundle, steps = Bundle(make_shapes(**WORLDS[world]), [arm], GradientDiagnostics(every=1)), []
    while not bundle.finished:
        before = bundle._runs.parameters.clone()
        ((_, measures),) = bundle.step()
        shown = measures.columns()
        np.testing.assert_allclose(shown["step_kl"], shown["kl"], rtol=1e-3, atol=1e-6)
        length = (bundle._runs.parameters - before).norm(dim=-1).numpy()
        np.testing.assert_allclose(shown["step_length"], length, rtol=1e-4)
        steps.append(np.stack([shown[name] for name in ("kl", "step_length", "step_backtracks")]))
    kl, length, backtracks = np.concatenate(steps, 1)
    assert kl.max() <= rule.max_kl * (1 + 1e-5)
    assert (kl[length > 0] > 0).all()
    assert backtracks.max() > 0


@dataclass(frozen=True)
class Cautious:
    """A surrogate that is worse than before but for the shortest of steps."""

    uses_old_log_prob: ClassVar[bool] = True

    def __call__(self, seen):
        return -seen.ratio * seen.psi + 100 * (seen.ratio - 1).square() * seen.weight


def test_an_accepted_step_has_a_better_surrogate_than_before(make_arm, make_shapes):
    rule = TrustRegion(max_kl=0.1, backtracks=40)
    lesson = small_lesson(make_arm, make_shapes, objective=Cautious(), step_rule=rule)
    lesson = replace(lesson, noted={name: np.full(3, np.nan) for name in rule.columns})
    estimate = lesson.estimate()
    assert rule(lesson, estimate, torch.ones(3, dtype=torch.bool)).all()
    assert (lesson.noted["step_length"] > 0).all()
    assert (lesson.noted["step_backtracks"] > 0).any()
    assert (lesson.loss() < estimate.loss).all()


def test_where_no_step_is_accepted_the_policy_stays_and_its_critic_learns(make_arm, make_shapes):
    rule = TrustRegion(max_kl=50.0, damping=1e-6, backtracks=0)
    weighting = gae(fit="with_policy")
    arm = make_arm(step_rule=rule, objective=o.Ratio(), weighting=weighting, gamma=0.97, seeds=range(4))
    bundle = Bundle(make_shapes(), [arm])
    before = bundle.state()[0]
    ((_, measures),) = bundle.step()
    after, shown = bundle.state()[0], measures.columns()
    stayed = shown["step_length"] == 0
    assert stayed.any()
    assert not shown["diverged"].any()
    for row in range(4):
        same = torch.equal(before["policy/parameters"][row], after["policy/parameters"][row])
        assert same == stayed[row]
        assert not torch.equal(before["critic/parameters"][row], after["critic/parameters"][row])


def test_a_trust_region_knows_no_learning_rate_and_no_length_of_the_gradient(make_arm, make_shapes, train):
    plain = {"step_rule": TrustRegion(), "objective": o.Ratio(), "seeds": [0, 1]}
    one = train(make_shapes(), [make_arm(**plain)])
    other = train(
        make_shapes(), [make_arm(**plain, optimizer=partial(SGD, lr=7.0), estimator=Estimator(clip_norm=1e-3))]
    )
    assert policies(one, 0) == policies(other, 0)


def test_a_step_to_infinity_is_not_taken_and_leaves_other_runs_alone(make_arm, make_shapes, train):
    def natural(rate):
        return make_arm(step_rule=Natural(), optimizer=partial(SGD, lr=rate), updates=2, seeds=[0, 1])

    bundle = train(make_shapes(), [natural(1e38), natural(0.05)])
    assert bundle.history[0][0].diverged.all()
    assert all(np.isfinite(array).all() for array in bundle.parameters()[0].values())
    assert policies(bundle, 1) == policies(train(make_shapes(), [natural(0.05)]), 0)


CHOICES = {
    "natural": {"step_rule": Natural(), "optimizer": partial(SGD, lr=0.1)},
    "few iterations": {"step_rule": Natural(0.1, 2), "optimizer": partial(torch.optim.Adam, lr=1e-2)},
    "beside a critic": {
        "step_rule": Natural(), "weighting": gae(fit="with_policy"), "estimator": Estimator(clip_norm=0.5),
    },
    "trust region": {"step_rule": TrustRegion(), "objective": o.Ratio()},
    "wide": {
        "step_rule": TrustRegion(0.5, 1e-4), "objective": o.Clip(), "weighting": gae(fit="with_policy"),
        "estimator": Estimator(entropy_bonus=0.01, normalize="batch"),
    },
    "first order": {},
}  # fmt: skip


def arms(make_arm, seeds, batch):
    plain = {"gamma": 0.97, "weighting": gae(), "updates": 3, "batch": batch, "seeds": seeds}
    return [make_arm(**{**plain, **choice}) for choice in CHOICES.values()]


@pytest.fixture(
    params=[(Segments(3, 16), MLP((16,))), (BatchSize(steps=60), Standardized(2.0).of(MLP((16,))))],
    ids=["segments", "episodes, standardised"],
)
def small(request, make_shapes):
    """A batch, and shapes that it is played in."""
    batch, network = request.param
    return batch, make_shapes(network=network)


def test_every_step_has_the_same_bits_alone_and_in_a_bundle(make_arm, train, small):
    batch, shapes = small
    together = train(shapes, arms(make_arm, [4, 1], batch))
    backwards = train(shapes, arms(make_arm, [1, 7, 4], batch)[::-1])
    for number, arm in enumerate(arms(make_arm, [1], batch)):
        alone = train(shapes, [arm])
        assert rows_of(together, number, 1) == rows_of(backwards, len(CHOICES) - 1 - number, 0) == rows_of(alone, 0, 0)
        own = {name: array[1:].tobytes() for name, array in together.parameters()[number].items()}
        assert own == policies(alone, 0)
    assert len({tuple(policies(together, number).values()) for number in range(len(CHOICES))}) == len(CHOICES)


def test_every_step_goes_on_from_a_state_with_the_same_bits(make_arm, train, small):
    batch, shapes = small
    whole = train(shapes, arms(make_arm, [4, 1], batch))
    first, second = (Bundle(shapes, arms(make_arm, [4, 1], batch)) for _ in range(2))
    first.step()
    second.restore(first.state())
    while not second.finished:
        second.step()
    for mine, theirs in zip(second.state(), whole.state(), strict=True):
        assert [name for name in mine if not torch.equal(mine[name].nan_to_num(), theirs[name].nan_to_num())] == []


def test_only_arms_whose_step_measures_itself_have_columns_of_it(make_arm, make_shapes, train):
    bundle = train(make_shapes(), arms(make_arm, [0], BatchSize(steps=60)))
    shown = [set(history[0].columns()) for history in bundle.history]
    plain = shown[-1]
    assert not [name for name in plain if name.startswith("step_")]
    assert [sorted(names - plain) for names in shown[:-1]] == [["step_kl", "step_length"]] * 3 + [
        ["step_backtracks", "step_kl", "step_length"]
    ] * 2
