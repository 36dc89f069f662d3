import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pglab.bits import ROW
from pglab.envs.world import Box, Discrete
from pglab.models.model import Model
from pglab.models.networks import MLP, Linear, Tabular
from pglab.models.parameters import Fixed, Gaussian, Layout, Orthogonal, PyTorchDefault, Uniform, Zeros, draw

shapes = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple), min_size=1, max_size=5).map(
    lambda sizes: {f"part_{i}": shape for i, shape in enumerate(sizes)}
)
leading = st.lists(st.integers(1, 3), max_size=2)
INITS = [PyTorchDefault(), Uniform(-0.5, 0.5), Gaussian(0.1), Orthogonal(2.0), Zeros()]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(shapes, leading)
def test_flatten_undoes_unflatten_and_the_other_way_round(shapes, leading):
    layout = Layout(shapes)
    named = {name: torch.randn(*leading, *shape, generator=seeded()) for name, shape in shapes.items()}
    flat = layout.flatten(named)
    again = layout.unflatten(flat)
    assert list(again) == list(named)
    assert all(torch.equal(again[name], named[name]) for name in named)
    assert torch.equal(layout.flatten(again), flat)


@given(shapes, leading)
def test_a_row_is_its_parameters_end_to_end_and_zeros_up_to_the_next_multiple_of_the_alignment(shapes, leading):
    layout = Layout(shapes)
    used = sum(math.prod(shape) for shape in shapes.values())
    assert layout.size % ROW == 0
    assert 0 <= layout.size - used < ROW
    flat = layout.flatten({name: torch.ones(*leading, *shape) for name, shape in shapes.items()})
    expected = torch.tensor([1.0] * used + [0.0] * (layout.size - used))
    assert torch.equal(flat, expected.expand(*leading, -1))


def test_rows_start_on_vector_boundaries():
    assert ROW == 64
    sizes = [Layout({"w": (n,)}).size for n in (1, 63, 64, 65, 128, 129)]
    assert sizes == [64, 64, 64, 128, 128, 192]


@given(shapes)
def test_named_views_share_the_memory_of_the_row(shapes):
    layout = Layout(shapes)
    flat = torch.zeros(2, layout.size)
    for view in layout.unflatten(flat).values():
        view += 1
    assert flat.sum() == 2 * sum(math.prod(shape) for shape in shapes.values())


@given(shapes)
def test_gradients_of_the_leaves_flatten_to_the_gradient_of_the_row(shapes):
    layout = Layout(shapes)
    row = torch.randn(2, layout.size, generator=seeded())
    leaves = layout.leaves(row.requires_grad_())
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in leaves.values())
    loss = sum((leaf**2).sum() for leaf in leaves.values())
    slopes = torch.autograd.grad(loss, list(leaves.values()))
    flat = layout.flatten(dict(zip(leaves, slopes, strict=True)))
    (expected,) = torch.autograd.grad(sum((view**2).sum() for view in layout.unflatten(row).values()), row)
    assert torch.equal(flat, expected)


@pytest.mark.parametrize("init", INITS, ids=repr)
def test_a_draw_is_decided_by_its_generator(init):
    layout = Layout(MLP((8,)).shapes(Box(4), 2))
    first, same, other = (draw(init, layout, 4, seeded(seed)) for seed in (1, 1, 2))
    assert first.shape == (layout.size,)
    assert torch.equal(first, same)
    assert isinstance(init, Zeros) or not torch.equal(first, other)


@pytest.mark.parametrize("init", INITS, ids=repr)
def test_a_run_draws_the_same_parameters_whatever_runs_are_beside_it(init):
    model = Model(MLP((8,)), Box(4), 2)
    together = model.draw(init, [seeded(seed) for seed in (5, 6, 7)], torch.device("cpu"))
    alone = [model.draw(init, [seeded(seed)], torch.device("cpu")) for seed in (5, 6, 7)]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("sizes", [(), (32,), (16, 8)])
def test_the_default_draws_what_a_stack_of_linear_modules_draws_from_the_same_seed(sizes):
    widths = [4, *sizes, 2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = [nn.Linear(widths[i], widths[i + 1]) for i in range(len(widths) - 1)]
    layout = Layout(MLP(sizes).shapes(Box(4), 2))
    named = layout.unflatten(draw(PyTorchDefault(), layout, 4, seeded(3)))
    for i, layer in enumerate(layers, 1):
        torch.testing.assert_close(named[f"weight_{i}"], layer.weight.data, rtol=1e-6, atol=0)
        torch.testing.assert_close(named[f"bias_{i}"], layer.bias.data, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("network", "observation", "inputs"), [(Linear(), Box(9), 9), (Tabular(), Discrete(25), 25), (MLP(()), Box(4), 4)]
)
def test_the_default_fills_the_range_that_the_number_of_inputs_gives(network, observation, inputs):
    model = Model(network, observation, 200)
    for tensor in model.layout.unflatten(model.draw(PyTorchDefault(), [seeded()], torch.device("cpu"))).values():
        assert 0.97 / math.sqrt(inputs) < tensor.abs().max() <= 1 / math.sqrt(inputs)


def test_uniform_fills_its_range_evenly():
    x = Uniform(-0.25, 0.75)((100, 200), 1, seeded())
    assert (x >= -0.25).all()
    assert (x < 0.75).all()
    counts = torch.histc(x, 10, -0.25, 0.75)
    assert ((counts - 2000).abs() < 5 * math.sqrt(2000 * 0.9)).all()


def test_gaussian_is_a_standard_normal_times_its_scale():
    standard, scaled = (Gaussian(scale)((100, 200), 1, seeded()) for scale in (1.0, 0.01))
    assert torch.equal(scaled, standard * 0.01)
    n = standard.numel()
    assert abs(standard.mean()) < 5 / math.sqrt(n)
    assert abs(standard.square().mean() - 1) < 5 * math.sqrt(2 / n)
    assert abs(standard.pow(4).mean() - 3) < 5 * math.sqrt(96 / n)
    assert not Gaussian(0.0)((3, 4), 1, seeded()).any()


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5), (1, 6)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal_weights_keep_lengths_up_to_their_gain(shape, gain):
    w = Orthogonal(gain)(shape, shape[1], seeded())
    short = w @ w.T if shape[0] <= shape[1] else w.T @ w
    torch.testing.assert_close(short, gain**2 * torch.eye(min(shape)), rtol=1e-5, atol=1e-5)


def test_orthogonal_biases_and_all_of_zeros_are_zero():
    layout = Layout(MLP((8,)).shapes(Box(4), 2))
    named = layout.unflatten(draw(Orthogonal(), layout, 4, seeded()))
    assert {name: bool(tensor.any()) for name, tensor in named.items()} == {
        "weight_1": True,
        "bias_1": False,
        "weight_2": True,
        "bias_2": False,
    }
    assert not draw(Zeros(), layout, 4, seeded()).any()


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (0.5, -0.5), (float("nan"), 1.0)])
def test_an_empty_range_is_refused(bounds):
    with pytest.raises(ValueError, match="must be below high"):
        Uniform(*bounds)


@pytest.mark.parametrize("scale", [-0.01, float("nan")])
def test_a_negative_scale_is_refused(scale):
    with pytest.raises(ValueError, match="must be at least 0"):
        Gaussian(scale)


def test_fixed_numbers_fill_a_table_row_by_row_whatever_the_seed():
    values = [1.0, -2.0, 0.5, 3.0, 0.0, 7.0]
    for seed in (0, 1):
        assert Fixed(values)((2, 3), 3, seeded(seed)).tolist() == [values[:3], values[3:]]


def test_fixed_numbers_that_are_too_few_or_too_many_are_refused():
    for values in ([1.0], [1.0] * 7):
        with pytest.raises(ValueError, match=rf"are {len(values)} numbers.*shape \[2, 3\], which takes 6"):
            Fixed(values)((2, 3), 3, seeded())
