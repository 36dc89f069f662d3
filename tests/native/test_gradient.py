"""The gradient by compiled code is that by torch, to the last digits, and keeps its own bits."""

from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.weightings import RewardToGo, TotalReturn
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import frozen_lake
from pglab.models.networks import MLP, Linear, Normalized, Tabular
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.native_gradient import by_compiled_code
from pglab.training.update import by_torch
from tests.native.cases import NATIVE
from tests.training.conftest import make_arm, make_shapes, train  # noqa: F401 (fixtures)

NATIVELY = {"player": NATIVE, "differentiate": by_compiled_code}
POLICIES = {
    "mlp": {"network": MLP((16,)), "head": Softmax()},
    "deep": {"network": MLP((33, 7), "relu"), "head": Softmax()},
    "sigmoid": {"network": MLP((5,)), "head": Sigmoid()},
    "linear": {"network": Linear(), "head": Softmax()},
    "normalized": {"network": Normalized(MLP((8,)), 10.0), "head": Sigmoid()},
    "tabular": {"network": Tabular(), "head": Softmax(), "world": frozen_lake()},
    "symbols": {"network": MLP((8,)), "head": Softmax(), "world": frozen_lake()},
}
FIRST = ("mlp", "tabular")  # in the default run: each is compiled for some seconds
MARKS = {name: () if name in FIRST else pytest.mark.slow for name in POLICIES}
EVERY_POLICY = pytest.mark.parametrize(
    "policy", [pytest.param(POLICIES[name], id=name, marks=MARKS[name]) for name in POLICIES]
)


def lessons(shapes, arms):
    """The lessons of a bundle's first update, and what each way to differentiate makes of them."""
    bundle = Bundle(shapes, arms)
    kept = bundle._kept(bundle._arms, bundle._play(bundle._arms))
    return [lesson for _, lesson in bundle._lessons(bundle._arms, kept, *bundle._weigh(bundle._arms, kept))]


@EVERY_POLICY
def test_it_is_the_gradient_that_torch_finds(make_arm, make_shapes, policy):  # noqa: F811
    bonus = Estimator(entropy_bonus=0.05)
    arms = [make_arm(seeds=[0, 1]), make_arm(seeds=[2], estimator=bonus, batch=BatchSize(steps=450))]
    (lesson,) = lessons(make_shapes(**policy, **NATIVELY), arms)
    ours, theirs = by_compiled_code(lesson), by_torch(lesson)
    largest = theirs.gradient.abs().max()
    assert largest > 1e-3
    assert (ours.gradient - theirs.gradient).abs().max() < 1e-5 * largest
    assert torch.allclose(ours.loss, theirs.loss, rtol=1e-5, atol=1e-6)
    assert torch.allclose(ours.entropy, theirs.entropy, rtol=1e-5, atol=1e-6)


@EVERY_POLICY
def test_a_run_keeps_its_bits_in_any_company(make_arm, make_shapes, train, policy):  # noqa: F811
    shapes = make_shapes(**policy, **NATIVELY)
    sgd = partial(torch.optim.SGD, lr=1e-3)
    arms = [
        make_arm(seeds=[4, 1], weighting=TotalReturn(1.0), estimator=Estimator(entropy_bonus=0.01)),
        make_arm(seeds=[1, 7, 5], optimizer=sgd, batch=BatchSize(steps=333)),
    ]
    together = train(shapes, arms)
    for number, arm in enumerate(arms):
        for row, seed in enumerate(arm.seeds):
            alone = train(shapes, [make_arm(**{**vars(arm), "seeds": [seed]})])
            for name, rows in together.parameters()[number].items():
                assert rows[row].tobytes() == alone.parameters()[0][name][0].tobytes(), name
            for there, here in zip(together.history[number], alone.history[0], strict=True):
                shown = {name: column[0] for name, column in here.columns().items()}
                assert {name: column[row] for name, column in there.columns().items()} == shown


def test_what_compiled_code_has_no_gradient_for_is_left_to_torch(make_arm, make_shapes):  # noqa: F811
    bonus = Estimator("sequences", entropy_bonus=0.05)
    (lesson,) = lessons(make_shapes(network=MLP((8,), "gelu"), **NATIVELY), [make_arm(estimator=bonus)])
    assert torch.equal(by_compiled_code(lesson).gradient, by_torch(lesson).gradient)


def test_both_backends_learn_alike(make_arm, make_shapes, train):  # noqa: F811
    arm = make_arm(seeds=list(range(12)), weighting=RewardToGo(1.0), batch=BatchSize(steps=600), updates=10)
    ends = []
    for how in ({}, NATIVELY):
        history = train(make_shapes(world=CartPole(200), **how), [arm]).history[0]
        ends.append(np.array([measures.return_mean for measures in history]))
    assert np.allclose(ends[0][0], ends[1][0], rtol=0.02)  # the same episodes, up to ties
    assert abs(ends[0][-3:].mean() - ends[1][-3:].mean()) < 0.15 * ends[0][-3:].mean()
