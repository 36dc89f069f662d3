"""Policies on worlds that compiled code plays, and batches of both players."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from pglab.algorithms.gaussian import Gaussian, StateGaussian, TanhGaussian
from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.envs.acrobot import Acrobot
from pglab.envs.bandit import Bandit
from pglab.envs.cartpole import CartPole
from pglab.envs.continuous_bandit import ContinuousBandit
from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.mountain_car import MountainCar, MountainCarContinuous
from pglab.envs.pendulum import Pendulum
from pglab.envs.testbed import GaussianTestbed
from pglab.models.model import Policy
from pglab.models.networks import MLP, Linear, Normalized, Tabular
from pglab.models.parameters import Gaussian as GaussianInit
from pglab.training.episodes import Episodes
from pglab.training.native import Native
from pglab.training.randomness import Streams, generator
from pglab.training.rollout import Target, Waves

CPU = torch.device("cpu")
TORCH = Waves(32)
NATIVE = Native(TORCH)


@dataclass(frozen=True)
class Case:
    """A policy on a world, with a target."""

    world: Any
    network: Any
    head: Any
    steps: int = 0
    episodes: int = 1
    group: int = 1

    @property
    def policy(self) -> Policy:
        return Policy.of(self.network, self.head, self.world.observation, self.world.actions)

    def parameters(self, seeds: list[int]) -> torch.Tensor:
        init = GaussianInit(0.5)
        return self.policy.model.draw(init, [generator(seed, "weights") for seed in seeds], CPU)

    def play(self, player: Any, seeds: list[int], expected: float = np.nan, update: int = 0) -> Episodes:
        k = len(seeds)
        keys = Streams.of(seeds, "", CPU).of_update(torch.full((k,), update))
        target = Target(np.full(k, self.steps), np.full(k, self.episodes), self.group)
        return player(self.world, self.policy, self.parameters(seeds), keys, target, np.full(k, expected))


FIRST = ("cartpole", "pendulum")  # in the default run: each is compiled for some seconds
CASES = {
    "cartpole": Case(CartPole(200), MLP((32,)), Softmax(), steps=1000),
    "cartpole sigmoid": Case(CartPole(60), MLP((8, 5), "relu"), Sigmoid(), steps=500),
    "cartpole linear": Case(CartPole(60), Linear(), Sigmoid(), steps=300),
    "cartpole normalized": Case(CartPole(60), Normalized(MLP((16,), "silu"), 10.0), Softmax(), steps=300),
    "acrobot": Case(Acrobot(40), MLP((16,), "gelu"), Softmax(), episodes=20),
    "mountain car": Case(MountainCar(50), MLP((16,)), Softmax(), episodes=20),
    "pushed car": Case(MountainCarContinuous(50), MLP((16,)), Gaussian(clip="action"), episodes=20),
    "pendulum": Case(Pendulum(40), MLP((16,)), Gaussian(), episodes=20),
    "pendulum, spread by state": Case(Pendulum(40), Normalized(MLP((16,)), 5.0), StateGaussian(), episodes=20),
    "pendulum, squashed": Case(Pendulum(40), Linear(), TanhGaussian(), episodes=20),
    "corridor": Case(corridor(200), Tabular(), Softmax(), steps=500),
    "lake": Case(frozen_lake(), MLP((8,)), Softmax(), steps=500),
    "lake in groups": Case(frozen_lake(), Linear(), Softmax(), episodes=24, group=4),
    "bandit": Case(Bandit([1.0, 0.7, 0.0], 0.5), Tabular(), Softmax(), episodes=40),
    "testbed": Case(GaussianTestbed(), Tabular(), Softmax(), episodes=40),
    "vector bandit": Case(ContinuousBandit([0.5, -0.2], [1.0, 2.0], noise=0.3), Tabular(), Gaussian(), episodes=40),
}
MARKS = {name: () if name in FIRST else pytest.mark.slow for name in CASES}
EVERY_CASE = pytest.mark.parametrize("case", [pytest.param(CASES[name], id=name, marks=MARKS[name]) for name in CASES])
