"""Measuring beside training changes no bit of it, and what is measured has the same bits in any bundle."""

from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor
from pglab.models.networks import MLP
from pglab.models.parameters import PyTorchDefault
from pglab.training.arm import BatchSize
from pglab.training.diagnosed import COLUMNS
from pglab.training.diagnostics import GradientDiagnostics

SGD = torch.optim.SGD
CRITIC = b.Value(MLP((8,)), PyTorchDefault(), partial(torch.optim.Adam, lr=1e-2), fit_steps=2)
EVERY = GradientDiagnostics(every=1)


def mixed_arms(make_arm, seeds):
    """Arms with every kind of baseline, batch and estimator that the measuring tells apart."""
    return [
        make_arm(seeds=seeds),
        make_arm(weighting=w.TotalReturn(0.9), gamma=0.9, batch=BatchSize(episodes=1), seeds=seeds),
        make_arm(weighting=w.ReturnMinusBaseline(1.0, b.LeaveOneOut()), batch=BatchSize(episodes=17), seeds=seeds),
        make_arm(
            weighting=w.GeneralizedAdvantage(0.97, 0.9, CRITIC), gamma=0.97, seeds=seeds,
            estimator=Estimator("episodes", True, False, 0.01, 0.5, 12),
        ),
        make_arm(
            weighting=w.ReturnMinusBaseline(1.0, b.RunningMean()), seeds=seeds, updates=5,
            batch=BatchSize(steps=3000), optimizer=partial(SGD, lr=0.01),
        ),
    ]  # fmt: skip


WORLDS = {"cartpole": CartPole(60), "corridor": corridor(100)}


def as_bytes(measures, row, names):
    return [np.asarray(getattr(measures, name)[row]).tobytes() for name in names]


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("world", WORLDS)
def test_measuring_changes_no_bit_of_training(make_arm, make_shapes, train, measure, world, every):
    shapes = make_shapes(world=WORLDS[world])
    plain = train(shapes, mixed_arms(make_arm, [4, 1]))
    watched = measure(shapes, mixed_arms(make_arm, [4, 1]), GradientDiagnostics(every))
    names = list(plain.history[0][0].columns())
    for without, with_ in zip(plain.history, watched.history, strict=True):
        assert len(without) == len(with_)
        for update in range(len(without)):
            for row in (0, 1):
                assert as_bytes(without[update], row, names) == as_bytes(with_[update], row, names)
    for number in range(len(plain.history)):
        for name, array in plain.parameters()[number].items():
            assert array.tobytes() == watched.parameters()[number][name].tobytes()


@pytest.mark.parametrize("world", WORLDS)
def test_what_is_measured_has_the_same_bits_alone_and_in_a_bundle(make_arm, make_shapes, measure, world):
    shapes = make_shapes(world=WORLDS[world])
    together = measure(shapes, mixed_arms(make_arm, [4, 1, 9])).history
    backwards = measure(shapes, mixed_arms(make_arm, [1, 4])[::-1]).history[::-1]
    for number, arm in enumerate(mixed_arms(make_arm, [1])):
        (alone,) = measure(shapes, [arm]).history
        for update, measures in enumerate(alone):
            expected = as_bytes(measures, 0, COLUMNS)
            assert as_bytes(together[number][update], 1, COLUMNS) == expected
            assert as_bytes(backwards[number][update], 0, COLUMNS) == expected


def test_only_every_nth_update_is_measured_the_first_included(make_arm, make_shapes, measure):
    history = measure(make_shapes(), [make_arm(updates=7)], GradientDiagnostics(every=3)).history[0]
    for name in ("grad_variance", "grad_snr", "half_cosine", "kl"):
        known = [bool(np.isfinite(getattr(measures, name)).all()) for measures in history]
        assert known == [True, False, False, True, False, False, True]
