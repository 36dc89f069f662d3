import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.envs.world import Box, Discrete
from pglab.models.model import Model, Policy
from pglab.models.networks import MLP, Tabular


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.floats(0, 1 - 2**-24))
def test_a_policy_that_is_certain_takes_its_action_from_any_uniform(symbols, u):
    policy = Policy(Model(Tabular(), Discrete(4), 3), Softmax())
    wanted = torch.tensor([[2, 0, 1, 2], [1, 1, 0, 0]])  # by run and symbol
    weight = 200.0 * torch.nn.functional.one_hot(wanted, 3).mT.float()
    obs = torch.tensor(symbols, dtype=torch.float32)[None, :, None].expand(2, -1, -1)
    action = policy.act({"weight": weight}, obs, torch.full((2, len(symbols)), u))
    assert torch.equal(action, wanted[:, symbols])


def test_a_policy_takes_the_same_actions_with_two_logits_and_with_their_difference():
    generator = torch.Generator().manual_seed(0)
    obs, uniform = torch.randn(2, 500, 4, generator=generator), torch.rand(2, 500, generator=generator)
    weight, bias = torch.randn(2, 1, 4, generator=generator), torch.randn(2, 1, generator=generator)
    one = {"weight_1": weight, "bias_1": bias}
    two = {name: torch.cat((torch.zeros_like(tensor), tensor), 1) for name, tensor in one.items()}
    actions = [
        Policy(Model(MLP(()), Box(4), head.width(Discrete(2))), head).act(parameters, obs, uniform)
        for head, parameters in ((Sigmoid(), one), (Softmax(), two))
    ]
    assert torch.equal(*actions)
    assert 0 < actions[0].sum() < 1000


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "gelu"])
@pytest.mark.parametrize("runs", [3, 4, 7])
def test_a_run_computes_the_same_bits_whatever_runs_are_beside_it(activation, runs):
    # From two runs on, and for a whole number of vector registers of steps, as the trainer sees to.
    generator = torch.Generator().manual_seed(0)
    model = Model(MLP((9, 5), activation), Box(4), 3)
    rows = torch.randn(runs, model.layout.size, generator=generator)
    obs = torch.randn(runs, 32, 4, generator=generator)

    def bits(members):
        leaves = model.layout.leaves(rows[members])
        outputs = model(leaves, obs[members])
        slopes = torch.autograd.grad((outputs**2).sum(), list(leaves.values()))
        return outputs, model.layout.flatten(dict(zip(leaves, slopes, strict=True)))

    all_outputs, all_slopes = bits(list(range(runs)))
    for pair in ([0, runs - 1], [runs - 1, 1], [1, 2]):
        outputs, slopes = bits(pair)
        assert torch.equal(outputs, all_outputs[pair])
        assert torch.equal(slopes, all_slopes[pair])
