"""Promise: a run's numbers are the same bits alone and in any bundle, at any row."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import weightings as w
from pglab.algorithms.beta import Beta
from pglab.algorithms.gaussian import Gaussian, StateGaussian, TanhGaussian
from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid, Softmax
from pglab.algorithms.losses import Estimator
from pglab.envs.acrobot import Acrobot
from pglab.envs.bandit import Bandit
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.mountain_car import MountainCar, MountainCarContinuous
from pglab.envs.pendulum import Pendulum
from pglab.envs.testbed import GaussianTestbed
from pglab.envs.world import Box
from pglab.models.model import Model
from pglab.models.networks import MLP, Linear, Tabular
from pglab.models.parameters import Gaussian as GaussianInit
from pglab.models.parameters import PyTorchDefault
from pglab.training.arm import BatchSize
from tests.slow import first
from tests.training.test_action_spaces import Gaussian as OwnGaussian
from tests.training.test_action_spaces import Steered

GAMMA = 0.97
ADAM, SGD, RMSPROP = torch.optim.Adam, partial(torch.optim.SGD, momentum=0.9), torch.optim.RMSprop
CRITIC = b.Value(MLP((8,)), PyTorchDefault(), partial(ADAM, lr=1e-2), fit_steps=2)
BASELINES = {
    "none": b.NoBaseline(),
    "constant": b.Constant(5.0),
    "batch_mean": b.BatchMean(),
    "leave_one_out": b.LeaveOneOut(),
    "running_mean": b.RunningMean(),
    "value": CRITIC,
}
WEIGHTINGS = {
    "total": lambda baseline: w.TotalReturn(GAMMA),
    "rtg": lambda baseline: w.RewardToGo(GAMMA),
    "baseline": lambda baseline: w.ReturnMinusBaseline(GAMMA, baseline),
    "gae": lambda baseline: w.GeneralizedAdvantage(GAMMA, 0.9, baseline),
}
OPTIMIZERS = (SGD, ADAM, RMSPROP)
WORLDS = {"cartpole": CartPole(60), "corridor": corridor(horizon=100)}
HEADS = {"softmax": Softmax(), "sigmoid": Sigmoid(), "sigmoid_action_blind": ActionBlindSigmoid()}


def results(bundle, number, row):
    """Everything a run leaves: its rows, parameters and evaluation."""
    columns = [[column[row] for column in measures.columns().values()] for measures in bundle.history[number]]
    parameters = [array[row].tobytes() for array in bundle.parameters()[number].values()]
    evaluation = bundle.evaluate(10)[number]
    return columns, parameters, evaluation.returns[row].tolist(), evaluation.length[row].tolist()


def every_arm(make_arm, seeds):
    """Every weighting × baseline, with optimizers, learning rates and batches that differ."""
    arms = []
    for number, (weighting, baseline) in enumerate(product(WEIGHTINGS, BASELINES)):
        arm = make_arm(
            weighting=WEIGHTINGS[weighting](BASELINES[baseline]),
            optimizer=partial(OPTIMIZERS[(number + number // 6) % 3], lr=0.003 * (1 + number % 4)),
            batch=BatchSize(steps=150) if number % 2 else BatchSize(episodes=3),
            gamma=GAMMA,
            updates=2 + number % 2,
            seeds=seeds,
        )
        arms.append(arm)
    return arms


FIRST = [("cartpole", "softmax"), ("corridor", "sigmoid")]  # in the default run
PAIRS = [pytest.param(*pair, marks=() if pair in FIRST else pytest.mark.slow) for pair in product(WORLDS, HEADS)]


@pytest.mark.parametrize(("world", "head"), PAIRS)
def test_every_run_has_the_same_bits_alone_and_in_a_bundle(make_arm, make_shapes, train, world, head):
    shapes = make_shapes(world=WORLDS[world], head=HEADS[head])
    together = train(shapes, every_arm(make_arm, seeds=[4, 1]))
    backwards = train(shapes, every_arm(make_arm, seeds=[1, 4])[::-1])
    for number, arm in enumerate(every_arm(make_arm, seeds=[1])):
        alone = results(train(shapes, [arm]), 0, 0)
        assert results(together, number, 1) == alone
        assert results(backwards, len(backwards.history) - 1 - number, 0) == alone


@pytest.mark.parametrize("position", ["first", "middle", "last"])
@pytest.mark.parametrize("estimator", [Estimator(), Estimator("episodes", True, False, 0.01, 0.5, 12)], ids=str)
def test_a_run_keeps_its_bits_at_every_row_of_a_mixed_bundle(make_arm, make_shapes, train, position, estimator):
    run = make_arm(weighting=WEIGHTINGS["baseline"](CRITIC), gamma=GAMMA, seeds=[7], estimator=estimator, updates=5)
    others = [
        make_arm(optimizer=partial(SGD, lr=1e-3), seeds=[1, 2, 3], updates=9),
        make_arm(weighting=w.TotalReturn(1.0), batch=BatchSize(episodes=40), seeds=[7, 8]),
    ]
    row = {"first": 0, "middle": 1, "last": 2}[position]
    mixed = [*others[:row], run, *others[row:]]
    assert results(train(make_shapes(), mixed), row, 0) == results(train(make_shapes(), [run]), 0, 0)


@pytest.mark.parametrize("episodes", first(1, [1, 33]))
@pytest.mark.parametrize(
    ("world", "network"),
    [
        (Bandit([1.0, 0.7, 0.0], 1.0), Tabular()),
        (GaussianTestbed(), Tabular()),
        (corridor(100), Tabular()),
        (CartPole(60), Linear()),
        (GymnasiumWorld("Acrobot-v1", max_episode_steps=20), MLP((5,))),
    ],
    ids=["bandit", "testbed", "corridor", "linear", "gymnasium"],
)
def test_small_networks_and_single_episodes_keep_their_bits_too(make_arm, make_shapes, train, world, network, episodes):
    arm = make_arm(
        init=GaussianInit(0.1), batch=BatchSize(episodes=episodes), updates=8, optimizer=partial(SGD, lr=0.01)
    )
    shapes = make_shapes(world=world, network=network)
    seeds = list(range(5))
    together = train(shapes, [make_arm(**{**vars(arm), "seeds": seeds})])
    for seed in seeds:
        alone = train(shapes, [make_arm(**{**vars(arm), "seeds": [seed]})])
        assert results(together, 0, seed) == results(alone, 0, 0)


@pytest.mark.parametrize(
    ("world", "head"),
    [
        (Acrobot(40), Softmax()),
        (MountainCar(40), Softmax()),
        (MountainCarContinuous(40), OwnGaussian()),
        (Pendulum(40), OwnGaussian()),
        (Pendulum(40), Gaussian(clip="action")),
        (Pendulum(40), StateGaussian()),
        (Pendulum(40), TanhGaussian()),
        (Pendulum(40), Beta()),
        (Steered(), Gaussian()),
        (Steered(), TanhGaussian()),
        (Steered(), Beta()),
    ],
    ids=lambda part: type(part).__name__,
)
def test_classic_control_and_heads_of_numbers_keep_their_bits_too(make_arm, make_shapes, train, world, head):
    shapes = make_shapes(world=world, head=head)
    together = train(shapes, [make_arm(seeds=[0, 1, 2]), make_arm(seeds=[1], weighting=w.TotalReturn(1.0))])
    for seed in range(3):
        assert results(together, 0, seed) == results(train(shapes, [make_arm(seeds=[seed])]), 0, 0)


@pytest.mark.parametrize("n", [32, 64, 512, 1024])
@pytest.mark.parametrize("network", [MLP((size,)) for size in (1, 3, 5, 8, 32, 33)] + [MLP((5, 7)), Linear()], ids=str)
def test_outputs_and_gradients_of_a_run_do_not_depend_on_where_it_lies(network, n):
    generator = torch.Generator().manual_seed(0)
    for inputs, outputs in product((1, 2, 4, 5, 6, 33), (1, 2, 3, 4)):
        model = Model(network, Box(inputs), outputs)
        flat = torch.randn(9, model.layout.size, generator=generator)
        x = torch.randn(9, n, inputs, generator=generator)
        slope = torch.randn(9, n, outputs, generator=generator)

        def compute(rows, model=model, flat=flat, x=x, slope=slope):
            leaves = model.layout.leaves(flat[rows])
            output = model(leaves, x[rows])
            return output, *torch.autograd.grad((output * slope[rows]).sum(), list(leaves.values()))

        together = compute(list(range(9)))
        for rows in ([0, 1], [3, 4, 5], [8, 2]):
            for part, whole in zip(compute(rows), together, strict=True):
                assert torch.equal(part, whole[rows]), (inputs, outputs, rows)


def test_a_run_that_diverges_is_frozen_and_leaves_its_neighbours_alone(make_arm, make_shapes, train):
    wild = make_arm(optimizer=partial(torch.optim.SGD, lr=float("inf")), seeds=[0, 1], updates=6)
    sane = make_arm(seeds=[0, 1], updates=6)
    bundle = train(make_shapes(), [wild, sane])
    assert [measures.diverged.tolist() for measures in bundle.history[0]] == [[True, True]]
    assert all(np.isfinite(array).all() for array in bundle.parameters()[0].values())
    alone = train(make_shapes(), [sane])
    assert [results(bundle, 1, row) for row in (0, 1)] == [results(alone, 0, row) for row in (0, 1)]


def test_one_diverging_seed_does_not_stop_the_other_seeds_of_its_arm(make_arm, make_shapes, train):
    class NanForSeedOne:
        """Weights that are not numbers for the run that plays longest at the third update."""

        calls = 0

        def __call__(self, batch):
            psi = batch.reward.clone()
            type(self).calls += 1
            if type(self).calls == 3:
                psi[0] = float("nan")
            return psi

    arm = make_arm(weighting=NanForSeedOne(), seeds=[0, 1, 2], batch=BatchSize(episodes=1), updates=8)
    bundle = train(make_shapes(world=Bandit([1.0, 0.0])), [arm])
    flags = [dict(zip(m.seed.tolist(), m.diverged.tolist(), strict=True)) for m in bundle.history[0]]
    assert flags[2] == {0: True, 1: False, 2: False}
    assert flags[3:] == [{1: False, 2: False}] * 5
