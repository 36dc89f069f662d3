"""Small arms and bundles to train in tests."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from pglab.algorithms.heads import Softmax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.weightings import RewardToGo
from pglab.envs.cartpole import CartPole
from pglab.models.networks import MLP
from pglab.models.parameters import PyTorchDefault
from pglab.training.arm import Arm, BatchSize
from pglab.training.bundle import Bundle, Shapes
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.rollout import Waves

CPU = torch.device("cpu")
EVERY = GradientDiagnostics(every=1)


@pytest.fixture
def make_arm() -> Callable[..., Arm]:
    def make(**changes: Any) -> Arm:
        plain = {
            "weighting": RewardToGo(1.0),
            "init": PyTorchDefault(),
            "optimizer": partial(torch.optim.Adam, lr=1e-2),
            "estimator": Estimator(),
            "batch": BatchSize(steps=200),
            "gamma": 1.0,
            "updates": 3,
            "seeds": [0],
        }
        return Arm(**{**plain, **changes})

    return make


@pytest.fixture
def make_shapes() -> Callable[..., Shapes]:
    def make(**changes: Any) -> Shapes:
        plain = {"world": CartPole(60), "head": Softmax(), "network": MLP((16,)), "player": Waves(32), "device": CPU}
        return Shapes(**{**plain, **changes})

    return make


@pytest.fixture
def train() -> Callable[..., Bundle]:
    """Trains a bundle to its end; the measures of each arm are in `history`."""

    def train(shapes: Shapes, arms: list[Arm], diagnostics: GradientDiagnostics | None = None) -> Bundle:
        bundle = Bundle(shapes, arms, diagnostics)
        bundle.history = [[] for _ in arms]
        while not bundle.finished:
            for number, measures in bundle.step():
                bundle.history[number].append(measures)
        return bundle

    return train


@pytest.fixture
def measure(train: Callable[..., Bundle]) -> Callable[..., Bundle]:
    """Trains a bundle while measuring, at every update unless told otherwise."""

    def measure(shapes: Shapes, arms: list[Arm], diagnostics: GradientDiagnostics = EVERY) -> Bundle:
        return train(shapes, arms, diagnostics)

    return measure
