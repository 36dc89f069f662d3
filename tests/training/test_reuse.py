"""Epochs of minibatches: every step once, each minibatch for the whole batch, ratios to the policy that played."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import objectives as o
from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.envs.bandit import Bandit
from pglab.models.networks import MLP, Tabular
from pglab.models.parameters import PyTorchDefault, Zeros
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.reuse import Epochs, shuffled
from pglab.training.segments import Segments
from pglab.training.update import ONE_STEP, first_estimate
from tests.training.lessons import lesson_of

SGD = torch.optim.SGD
SMALL = Segments(lanes=3, steps=16)


def gae(gamma):
    return w.GeneralizedAdvantage(gamma, 0.9, b.Value(MLP((8,)), PyTorchDefault(), partial(torch.optim.Adam, lr=1e-2)))


def test_minibatches_of_an_epoch_have_every_step_once_and_each_epoch_another_order(make_arm, make_shapes):
    arm = make_arm(rule=Epochs(2, 4), objective=o.Clip(), seeds=[0, 1, 2], batch=BatchSize(steps=101))
    lesson = lesson_of(Bundle(make_shapes(), [arm]))
    steps = lesson.episodes.steps(3)
    run_of = np.repeat(lesson.episodes.run, lesson.episodes.length)
    for epoch in (0, 1):
        parts = list(arm.rule.parts(lesson, epoch))
        positions = torch.cat([part.steps.position[:-1] for part in parts])
        assert sorted(positions.tolist()) == list(range(steps.sum()))
        for part in parts:
            assert (run_of[part.steps.position[:-1]] == np.repeat(part.steps.run, part.steps.length)).all()
            assert (np.abs(part.steps.length - steps / 4) < 1).all()
    assert not torch.equal(shuffled(lesson, 0), shuffled(lesson, 1))
    later = replace(lesson, shuffling=lesson.shuffling + 1)
    assert not torch.equal(shuffled(lesson, 0), shuffled(later, 0))


def test_the_gradients_of_an_epochs_minibatches_have_the_mean_of_the_whole(make_arm, make_shapes):
    estimator = Estimator(entropy_bonus=0.1)
    arm = make_arm(
        rule=Epochs(1, 5), objective=o.Ratio(), estimator=estimator, seeds=[0, 1], batch=SMALL, weighting=gae(1.0)
    )
    lesson = lesson_of(Bundle(make_shapes(), [arm]))
    parts = torch.stack([part.estimate().gradient for part in Epochs(1, 4).parts(lesson, 0)])
    torch.testing.assert_close(parts.mean(0), lesson.estimate().gradient, rtol=1e-4, atol=1e-6)


def test_weights_are_standardised_in_each_minibatch(make_arm, make_shapes):
    estimator = Estimator(normalize="minibatch", reduction="steps")
    arm = make_arm(
        rule=Epochs(1, 4), objective=o.Ratio(), estimator=estimator, seeds=[0, 1], batch=SMALL, weighting=gae(1.0)
    )
    lesson = lesson_of(Bundle(make_shapes(), [arm]))
    for part in arm.rule.parts(lesson, 0):
        for rows, index in part.blocks():
            psi, reduction, _ = part.weights.at(rows, index)
            for row, psi_of, index_of in zip(range(len(rows)), psi, index, strict=True):
                there = psi_of[index_of < len(part.weights.psi) - 1] / reduction[row]
                assert float(there.mean()) == pytest.approx(0.0, abs=1e-5)
                assert float(there.std(correction=0)) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("weighting", [w.RewardToGo(0.9), w.TotalReturn(0.9), gae(1.0)], ids=["rtg", "total", "gae"])
@pytest.mark.parametrize("rule", [ONE_STEP, Epochs(1, 1)], ids=["once", "one minibatch"])
def test_where_the_batch_is_the_only_minibatch_both_standardise_alike(make_arm, make_shapes, weighting, rule):
    batch, minibatch = (
        first_estimate(rule, lesson_of(Bundle(make_shapes(), [make_arm(
            weighting=weighting, gamma=weighting.gamma, estimator=Estimator(normalize=normalize), rule=rule
        )]))).gradient
        for normalize in ("batch", "minibatch")
    )  # fmt: skip
    assert batch.any()
    assert torch.equal(batch, minibatch)


def test_equal_weights_standardise_to_zero_in_minibatches_too(make_arm, make_shapes):
    arm = make_arm(
        rule=Epochs(1, 4), estimator=Estimator(normalize="minibatch"), batch=SMALL, weighting=gae(1.0), seeds=[0, 1]
    )
    lesson = lesson_of(Bundle(make_shapes(), [arm]))
    psi = torch.where(torch.arange(len(lesson.weights.psi)) % 3 > 0, 0.993, 0.993 * (1 + 2**-23))  # but for rounding
    equal = replace(lesson, weights=replace(lesson.weights, psi=psi))
    for part in arm.rule.parts(equal, 0):
        for rows, index in part.blocks():
            assert not part.weights.at(rows, index)[0].any()


def test_a_run_that_stops_early_takes_the_steps_of_one_with_fewer_epochs(make_arm, make_shapes, train):
    common = {"objective": o.Clip(), "updates": 6, "batch": SMALL, "weighting": gae(1.0), "seeds": [0, 1]}
    stops, once = (
        train(make_shapes(), [make_arm(rule=rule, **common)]).parameters()[0]
        for rule in (Epochs(5, 4, stop_kl=1e-12), Epochs(1, 4))
    )
    for name, of_once in once.items():
        assert (stops[name] == of_once).all()


def test_a_batch_that_is_weighed_anew_is_not_in_its_own_baseline(make_arm, make_shapes):
    baseline = b.RunningMean()
    arm = make_arm(
        rule=Epochs(3, 1, recompute=True), objective=o.Clip(), weighting=w.ReturnMinusBaseline(1.0, baseline)
    )
    bundle = Bundle(make_shapes(), [arm])
    for _ in range(2):  # before anything is remembered, and after
        lesson = lesson_of(bundle)
        weights, _ = lesson.weigh()
        assert torch.equal(weights.psi, lesson.weights.psi)
        assert bundle._arms[0].weigher.memory


def test_the_old_policy_is_that_before_the_first_step(make_arm, make_shapes):
    arm = make_arm(rule=Epochs(2, 1), objective=o.Ratio(), optimizer=partial(SGD, lr=0.5))
    lesson = lesson_of(Bundle(make_shapes(), [arm]))
    before = lesson.old.log_prob.clone()
    lesson.step(lesson.estimate())
    assert torch.equal(lesson.old.log_prob, before)
    assert float(lesson.kl()[0]) > 0


def test_every_step_of_an_update_compares_with_the_policy_that_played(make_arm, make_shapes, train):
    # Two logits, four epochs of PPO's loss by hand: θ ← θ - lr ∇L(θ), and the clip in force from some epoch on.
    rate, clip, shapes = 0.2, 0.1, make_shapes(world=Bandit([1.0, 0.0]), network=Tabular())
    arm = make_arm(
        init=Zeros(), rule=Epochs(4, 1), objective=o.Clip(clip), updates=1, optimizer=partial(SGD, lr=rate),
        batch=BatchSize(episodes=20), estimator=Estimator(normalize="batch"),
    )  # fmt: skip
    batch = []
    watched = replace(shapes, player=lambda *given: batch.append(shapes.player(*given)) or batch[-1])
    learned = torch.from_numpy(train(watched, [arm]).parameters()[0]["weight"][0, :, 0]).double()
    (played,) = batch
    psi = played.reward[:-1].double()
    psi = (psi - psi.mean()) / psi.std(correction=0) / len(psi)
    theta, clipped = torch.zeros(2, dtype=torch.float64, requires_grad=True), []
    for _ in range(4):
        ratio = theta.log_softmax(0)[played.action[:-1]].exp() / 0.5
        clipped.append(float(((ratio - 1).abs() > clip).double().mean()))
        gain = torch.minimum(ratio * psi, ratio.clamp(1 - clip, 1 + clip) * psi).sum()
        (slope,) = torch.autograd.grad(gain, theta)
        theta = (theta + rate * slope).detach().requires_grad_()
    torch.testing.assert_close(learned, theta.detach(), rtol=1e-5, atol=1e-6)
    assert clipped[0] == 0 < clipped[-1]
