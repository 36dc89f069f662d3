import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pglab.bits import tanh
from pglab.envs.world import Box, Discrete
from pglab.models.model import Model
from pglab.models.networks import MLP, Linear, Tabular, encode

MODULES = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}
B, N = 3, 11  # rows of parameters, observations for each
every_mlp = pytest.mark.parametrize("activation", MODULES)
every_depth = pytest.mark.parametrize("sizes", [(), (5,), (4, 3), (6, 2, 7)], ids=str)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def random_parameters(network, observation, outputs):
    shapes = network.shapes(observation, outputs)
    return {name: random(B, *shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}


def modules(network, inputs, outputs, parameters, row):
    """The same network as a `torch.nn` module with the parameters of one row."""
    widths = [inputs, *network.sizes, outputs]
    layers = []
    for i in range(1, len(widths)):
        linear = nn.Linear(widths[i - 1], widths[i], dtype=torch.float64)
        linear.weight.data = parameters[f"weight_{i}"][row].clone()
        linear.bias.data = parameters[f"bias_{i}"][row].clone()
        layers += [linear, MODULES[network.activation]()]
    return nn.Sequential(*layers[:-1])


def close(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-13)


@every_mlp
@every_depth
def test_each_row_of_an_mlp_is_a_stack_of_linear_modules(sizes, activation):
    network = MLP(sizes, activation)
    parameters, x = random_parameters(network, Box(4), 2), random(B, N, 4, seed=99)
    outputs = network.forward(parameters, x)
    assert outputs.shape == (B, N, 2)
    for row in range(B):
        close(outputs[row], modules(network, 4, 2, parameters, row)(x[row]))


@every_mlp
@every_depth
def test_gradients_of_an_mlp_are_those_of_a_stack_of_linear_modules(sizes, activation):
    network = MLP(sizes, activation)
    parameters, x = random_parameters(network, Box(4), 2), random(B, N, 4, seed=99)
    weight = random(B, N, 2, seed=100)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
    (network.forward(leaves, x) * weight).sum().backward()
    for row in range(B):
        module = modules(network, 4, 2, parameters, row)
        (module(x[row]) * weight[row]).sum().backward()
        expected = [parameter.grad for parameter in module.parameters()]
        for tensor, gradient in zip(leaves.values(), expected, strict=True):
            close(tensor.grad[row], gradient)


def test_an_mlp_leaves_its_input_as_it_was():
    network = MLP((5,), "tanh")
    x = random(B, N, 4)
    kept = x.clone()
    network.forward(random_parameters(network, Box(4), 2), x)
    assert torch.equal(x, kept)


@pytest.mark.parametrize(("dtype", "unit"), [(torch.float32, 2.0**-23), (torch.float64, 2.0**-52)])
def test_tanh_is_within_two_units_of_rounding_at_one(dtype, unit):
    x = torch.cat((torch.linspace(-20, 20, 1 << 18, dtype=dtype), torch.tensor([0.0, 1e-30, 1e5, -1e30], dtype=dtype)))
    result = tanh(x.clone())
    assert ((result - torch.tanh(x)).abs() <= 2 * unit).all()
    assert (result.abs() <= 1).all()
    assert result[(1 << 18)] == 0


def test_linear_is_a_constant_plus_a_weighted_sum():
    parameters, x = random_parameters(Linear(), Box(4), 2), random(B, N, 4, seed=99)
    assert Linear().shapes(Box(4), 2) == {"weight": (2, 5)}
    outputs = Linear().forward(parameters, x)
    features = torch.cat((torch.ones(B, N, 1, dtype=torch.float64), x), -1)
    close(outputs, torch.einsum("bof,bnf->bno", parameters["weight"], features))


def test_the_gradient_of_linear_is_its_features():
    weight = random(1, 1, 5).requires_grad_()
    x = random(1, 1, 4, seed=1)
    Linear().forward({"weight": weight}, x).backward()
    close(weight.grad[0, 0], torch.cat((torch.ones(1, dtype=torch.float64), x[0, 0])))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_tabular_looks_up_one_column_an_observation(symbols):
    model = Model(Tabular(), Discrete(6), 3)
    parameters = random_parameters(model.network, Discrete(6), 3)
    obs = torch.tensor(symbols, dtype=torch.float64)[None, :, None].expand(B, -1, -1)
    outputs = model(parameters, obs)
    for row in range(B):
        for n, symbol in enumerate(symbols):
            assert torch.equal(outputs[row, n], parameters["weight"][row, :, symbol])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_a_discrete_observation_enters_as_its_one_hot_vector(symbols):
    obs = torch.tensor(symbols, dtype=torch.float32)[:, None]
    assert torch.equal(encode(Discrete(6), obs), torch.eye(6)[symbols])


def test_a_box_observation_enters_as_it_is():
    obs = random(2, 3, 4)
    assert encode(Box(4), obs) is obs


def test_an_mlp_of_a_discrete_observation_adds_the_column_of_the_symbol_to_the_bias():
    model = Model(MLP(()), Discrete(3), 2)
    parameters = random_parameters(model.network, Discrete(3), 2)
    outputs = model(parameters, torch.tensor([[[2.0]]] * B, dtype=torch.float64))
    close(outputs[:, 0], parameters["bias_1"] + parameters["weight_1"][:, :, 2])


def test_weights_are_named_and_shaped_layer_by_layer():
    assert MLP((32, 16)).shapes(Box(4), 2) == {
        "weight_1": (32, 4),
        "bias_1": (32,),
        "weight_2": (16, 32),
        "bias_2": (16,),
        "weight_3": (2, 16),
        "bias_3": (2,),
    }
    assert Tabular().shapes(Discrete(6), 3) == {"weight": (3, 6)}


def test_a_tabular_network_refuses_a_vector_of_real_numbers():
    with pytest.raises(ValueError, match=r"needs a discrete observation, this environment has Box\(4\)"):
        Tabular().shapes(Box(4), 2)


@pytest.mark.parametrize("sizes", [(0,), (32, -1), (2.5,), ("32",)])
def test_hidden_layers_of_no_whole_size_are_refused(sizes):
    with pytest.raises(ValueError, match="must be whole numbers of at least 1"):
        MLP(sizes)


def test_an_unknown_activation_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ValueError, match="activation='elu' is not one of tanh, relu, silu, gelu"):
        MLP((32,), "elu")
