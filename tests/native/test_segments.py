"""Segments by compiled code are those by torch, go on where they were, and keep their bits."""

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import weightings as w
from pglab.algorithms.objectives import Clip
from pglab.models.native import NativeMLP, native_network
from pglab.models.networks import MLP
from pglab.models.parameters import PyTorchDefault
from pglab.training.native_gradient import by_compiled_code
from pglab.training.native_segments import NativeLanes, native_lanes
from pglab.training.randomness import Streams
from pglab.training.reuse import Epochs
from pglab.training.segments import Lanes, Segments
from tests.native.cases import CASES, CPU, MARKS, NATIVE
from tests.slow import first
from tests.training.conftest import make_arm, make_shapes, train  # noqa: F401 (fixtures)

BATCH, SEEDS = Segments(lanes=5, steps=48), [0, 1, 2]
SOME = ("cartpole", "pendulum", "corridor", "testbed", "pushed car", "lake")
EVERY_CASE = pytest.mark.parametrize("case", [pytest.param(CASES[n], id=n, marks=MARKS[n]) for n in SOME])


def keys(seeds: list[int], update: int) -> Streams:
    return Streams.of(seeds, "", CPU).of_update(torch.full((len(seeds),), update))


def played(lanes, case, seeds, updates):
    """The batches of some updates, by the same parameters."""
    parameters = case.parameters(seeds)
    return [lanes.play(case.policy, parameters, keys(seeds, u), np.ones(len(seeds), dtype=bool)) for u in updates]


def begun(kind, case, seeds):
    arguments = (BATCH, case.world, keys(seeds, 0))
    return Lanes(*arguments) if kind is Lanes else native_lanes(*arguments, case.policy)


@EVERY_CASE
def test_both_play_the_same_segments_until_rounding_parts_them(case):
    ours, theirs = (played(begun(kind, case, SEEDS), case, SEEDS, range(2)) for kind in (NativeLanes, Lanes))
    for one, other in zip(ours, theirs, strict=True):
        assert one.length.sum() == other.length.sum() == 3 * 5 * 48
        if len(one.run) != len(other.run):
            continue
        for name in ("run", "lane", "length", "cut", "terminated", "truncated", "earlier_length"):
            assert (getattr(one, name) == getattr(other, name)).mean() > 0.95, name
        assert np.isclose(one.returns(), other.returns(), rtol=1e-2, atol=1e-2).mean() > 0.95
        seen = torch.from_numpy(one.truncated | one.cut)
        assert torch.isclose(one.last_obs, other.last_obs, atol=0.05)[seen].float().mean() > 0.95


@EVERY_CASE
def test_lanes_go_on_from_what_was_saved_and_a_run_keeps_its_bits_alone(case):
    together = played(begun(NativeLanes, case, SEEDS), case, SEEDS, range(3))
    first = begun(NativeLanes, case, [1])
    alone = played(first, case, [1], [0])
    resumed = begun(NativeLanes, case, [1])
    resumed.restore(slice(0, 1), first.saved(slice(0, 1)))
    alone += played(resumed, case, [1], [1, 2])
    for whole, own in zip(together, alone, strict=True):
        steps = torch.from_numpy(np.repeat(whole.run == 1, whole.length))
        for name in ("obs", "action", "reward"):
            assert torch.equal(getattr(whole, name)[:-1][steps], getattr(own, name)[:-1]), name
        assert whole.returns()[whole.run == 1].tolist() == own.returns().tolist()


@pytest.mark.parametrize("activation", first(1, ["tanh", "relu"]))
def test_a_network_by_compiled_code_is_that_of_torch_with_its_slopes_and_theirs(activation):
    plain, torch_generator = MLP((16, 5), activation), torch.Generator().manual_seed(0)
    native = native_network(plain)
    assert type(native) is NativeMLP
    shapes = plain.shapes(CASES["cartpole"].world.observation, 3)
    x = torch.randn(2, 160, 4, generator=torch_generator)
    drawn = {name: torch.randn(2, *shape, generator=torch_generator) for name, shape in shapes.items()}
    found = []
    for network in (plain, native):
        leaves = {name: part.clone().requires_grad_() for name, part in drawn.items()}
        outputs = network.forward(leaves, x)
        loss = outputs.square().mean()
        slopes = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
        again = torch.autograd.grad(sum(part.square().sum() for part in slopes), list(leaves.values()))
        plain_slopes = torch.autograd.grad(network.forward(leaves, x).square().mean(), list(leaves.values()))
        found.append([outputs, *slopes, *again, *plain_slopes])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_ppo_keeps_its_bits_in_any_company(make_arm, make_shapes, train):  # noqa: F811
    network = native_network(MLP((16,)))
    shapes = make_shapes(network=network, player=NATIVE, differentiate=by_compiled_code, lanes=native_lanes)
    critic = b.Value(network, PyTorchDefault(), torch.optim.Adam, fit="with_policy", target="lambda_returns")
    ppo = {
        "weighting": w.GeneralizedAdvantage(0.99, 0.95, critic), "gamma": 0.99, "objective": Clip(),
        "rule": Epochs(2, 2), "batch": Segments(4, 32),
    }  # fmt: skip
    together = train(shapes, [make_arm(**ppo, seeds=[4, 1]), make_arm(**ppo, seeds=[1, 3], updates=4)])
    for number, row, seed, updates in ((0, 1, 1, 3), (1, 1, 3, 4)):
        alone = train(shapes, [make_arm(**ppo, seeds=[seed], updates=updates)])
        for name, rows in together.parameters()[number].items():
            assert rows[row].tobytes() == alone.parameters()[0][name][0].tobytes(), name
