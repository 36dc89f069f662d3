"""The natural gradient solves the system that it is defined by, in a batch and exactly."""

from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.envs.finite import corridor
from pglab.envs.problems import random_mdp, two_state_loop
from pglab.exact.gradients import fisher_information, gradient_by_autograd
from pglab.exact.policy import policy_table, score_table
from pglab.models.networks import MLP, Linear, Tabular
from pglab.models.parameters import Gaussian
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.fisher import conjugate_gradients, natural_gradient
from pglab.training.natural import Natural
from tests.training.lessons import dense_fisher, lesson_of, small_lesson

SGD = torch.optim.SGD


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
