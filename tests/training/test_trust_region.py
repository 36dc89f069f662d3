"""A trust region takes the longest step that it allows and that betters the surrogate, or none."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch

from pglab.algorithms import objectives as o
from pglab.algorithms.losses import Estimator
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor
from pglab.envs.problems import random_mdp
from pglab.models.networks import MLP, Tabular
from pglab.models.parameters import Gaussian
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.segments import Segments
from pglab.training.trust_region import TrustRegion
from tests.training.lessons import dense_fisher, gae, small_lesson
from tests.training.outcome import policies

SGD = torch.optim.SGD


def test_the_full_step_of_a_trust_region_is_as_long_as_the_quadratic_model_allows(make_arm, make_shapes):
    lesson, rule = small_lesson(make_arm, make_shapes), TrustRegion(max_kl=1e-3, damping=0.01)
    step = rule.full_step(lesson, lesson.estimate().gradient)
    model = []
    for s, fisher in zip(step.double(), [dense_fisher(lesson, row) for row in range(3)], strict=True):
        model.append(float(s @ fisher @ s / 2))
        assert model[-1] + rule.damping * float(s @ s / 2) == pytest.approx(rule.max_kl, rel=1e-3)
    lesson.parameters.add_(step)
    assert lesson.kl().tolist() == pytest.approx(model, rel=0.1)


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
