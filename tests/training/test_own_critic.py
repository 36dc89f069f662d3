"""A critic of one's own that comes with its baseline."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.envs.finite import corridor
from pglab.models.networks import Tabular
from pglab.models.parameters import Zeros
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from tests.training.outcome import policies, rows_of

SGD = torch.optim.SGD


@dataclass(frozen=True)
class AverageByState:
    """b = the running average of the returns from each symbol, kept by a critic of its own."""

    rate: float = 0.5

    def critic(self, observation, generators, device):
        return Averages(torch.zeros(len(generators), observation.size, device=device), self.rate)

    def __call__(self, batch, returns):
        return batch.value


@dataclass
class Averages:
    table: torch.Tensor
    rate: float
    seen: list = field(default_factory=list)

    def values(self, rows, obs):
        return self.table[rows[:, None], obs[..., 0].long()]

    def fit(self, batch):
        total, count = torch.zeros_like(self.table), torch.zeros_like(self.table)
        for part in batch:
            cell = (part.rows[:, None].expand_as(part.target)[part.mask], part.obs[..., 0].long()[part.mask])
            total.index_put_(cell, part.target[part.mask], accumulate=True)
            count.index_put_(cell, torch.ones(len(cell[0])), accumulate=True)
        self.table += torch.where(count > 0, self.rate * (total / count.clamp(min=1) - self.table), 0.0)

    def state(self):
        return {"table": self.table.clone()}

    def restore(self, state):
        self.table.copy_(state["table"])


@pytest.fixture
def tabular(make_arm, make_shapes):
    def tabular(seeds, **changes):
        shapes = make_shapes(world=corridor(30), network=Tabular())
        arm = make_arm(
            weighting=w.ReturnMinusBaseline(1.0, AverageByState()), init=Zeros(), seeds=seeds,
            batch=BatchSize(episodes=8), optimizer=partial(SGD, lr=0.1), **changes,
        )  # fmt: skip
        return shapes, arm

    return tabular


def test_a_critic_of_ones_own_is_read_before_it_is_fitted_and_kept_with_the_run(tabular, train):
    shapes, arm = tabular([0, 4])
    bundle = train(shapes, [arm])
    table = bundle.state()[0]["critic/table"]
    assert table.shape == (2, 1)
    assert (table < -2).all()
    shapes, alone = tabular([4])
    assert rows_of(train(shapes, [alone]), 0, 0) == rows_of(bundle, 0, 1)

    shapes, whole = tabular([0, 4], updates=5)
    straight = train(shapes, [whole])
    resumed = Bundle(shapes, [whole])
    resumed.restore([{name: tensor.clone() for name, tensor in state.items()} for state in bundle.state()])
    while not resumed.finished:
        resumed.step()
    assert policies(resumed, 0) == policies(straight, 0)
    assert torch.equal(resumed.state()[0]["critic/table"], straight.state()[0]["critic/table"])


def test_a_critic_of_ones_own_explains_its_variance_and_continues_truncated_episodes(tabular):
    shapes, arm = tabular([0], estimator=Estimator(truncation="bootstrap"))
    bundle = Bundle(shapes, [arm], GradientDiagnostics(every=1))
    bundle.step()
    ((_, measures),) = bundle.step()
    assert np.isfinite(measures.explained_variance).all()
    assert arm.bias == ("the sum is divided by the batch's steps, whose number is random",
                        "truncated episodes are continued by the critic")  # fmt: skip
