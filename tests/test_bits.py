"""Kernels that keep a run's bits at any row, alone and in any company, and what happens without them."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn.functional import pad

from pglab import bits
from pglab.models.parameters import Layout

CPU = torch.device("cpu")
RUNS = 9


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def output_and_gradient(kernel, outputs, inputs, n, rows):
    """Of a layer whose weights lie in flat rows, for the chosen ones of some runs."""
    layout = Layout({"bias": (outputs,), "weight": (outputs, inputs)})
    leaves = layout.leaves(random(RUNS, layout.size)[rows])
    x, slope = random(RUNS, inputs, n, seed=1)[rows], random(RUNS, outputs, n, seed=2)[rows]
    y = kernel(leaves["weight"], leaves["bias"], x)
    return y.detach(), layout.gradient((y * slope).sum(), leaves)


@pytest.mark.parametrize("n", [32, 1024])
def test_affine_gives_a_run_the_same_bits_at_any_row_and_beside_any_other(n):
    for outputs, inputs in product((1, 2, 3, 5, 16, 33), (1, 2, 4, 5, 6, 33)):
        together = output_and_gradient(bits.affine, outputs, inputs, n, list(range(RUNS)))
        for rows in ([0, 1], [8, 3], [4, 7, 2]):
            for part, whole in zip(output_and_gradient(bits.affine, outputs, inputs, n, rows), together, strict=True):
                assert torch.equal(part, whole[rows]), (outputs, inputs, rows)


def test_affine_is_the_product_and_the_bias():
    weight, bias, x = random(3, 5, 7).double(), random(3, 5).double(), random(3, 7, 4, seed=1).double()
    expected = torch.einsum("boi,bin->bon", weight, x) + bias[..., None]
    torch.testing.assert_close(bits.affine(weight, bias, x), expected, rtol=1e-12, atol=1e-12)


def whole_numbers(inputs, n):
    """Those of pictures that differ in a few points, `[RUNS, inputs, n]`."""
    here = random(RUNS, n, inputs, seed=1) > 1.3
    return (here * random(RUNS, n, inputs, seed=2).sign()).to(torch.int8).mT


def test_a_product_with_few_whole_numbers_gives_a_run_the_same_bits_at_any_row_alone_and_beside_any_other():
    weight, bias, x = random(RUNS, 33, 200), random(RUNS, 33), whole_numbers(200, 32)
    slope = random(RUNS, 33, 32, seed=3)

    def found(rows):
        own = weight[rows].requires_grad_()
        y = bits.affine(own, bias[rows], x[rows])
        return y.detach(), torch.autograd.grad((y * slope[rows]).sum(), own)[0]

    together = found(list(range(RUNS)))
    for rows in ([0], [0, 1], [8, 3], [4, 7, 2]):
        for part, whole in zip(found(rows), together, strict=True):
            assert torch.equal(part, whole[rows]), rows
    lies_by_columns = weight.mT.contiguous().mT
    assert torch.equal(bits.affine(lies_by_columns, bias, x), together[0])


def test_a_product_with_few_whole_numbers_is_the_product_and_has_its_slopes():
    weight, bias, x = random(3, 5, 7).double(), random(3, 5).double(), whole_numbers(7, 32)[:3]
    torch.testing.assert_close(bits.affine(weight, bias, x), bits.affine(weight, bias, x.double()), rtol=0, atol=1e-12)
    given = (weight.requires_grad_(), bias.requires_grad_())
    assert torch.autograd.gradcheck(lambda *given: bits.affine(*given, x), given)
    assert torch.autograd.gradgradcheck(lambda *given: bits.affine(*given, x), given)
    none = torch.zeros(3, 7, 32, dtype=torch.int8)
    assert torch.equal(bits.affine(weight, bias, none), bias[..., None].expand(3, 5, 32))


def test_a_matrix_product_alone_in_its_batch_can_have_other_bits():
    """The reason why `close_up` leaves two banks and for two blocks at least."""
    shapes = list(product((16, 32), (1,), (32, 64, 1024)))
    company = [output_and_gradient(bits.affine, *shape, [0, 1])[1][0] for shape in shapes]
    alone = [output_and_gradient(bits.affine, *shape, [0])[1][0] for shape in shapes]
    assert any(not torch.equal(a, b) for a, b in zip(alone, company, strict=True))


@given(arrays(bool, st.tuples(st.integers(1, 6), st.just(4))), st.data())
def test_lanes_close_up_in_whole_banks_of_a_run_each_and_never_alone(playing: np.ndarray, data: st.DataObject):
    run = np.array(sorted(data.draw(st.lists(st.integers(0, 2), min_size=len(playing), max_size=len(playing)))))
    kept = bits.close_up(run, playing)
    if kept is None:
        kept = np.arange(playing.size).reshape(playing.shape)
    assert len(np.unique(kept)) == kept.size
    assert set(np.flatnonzero(playing)) <= set(kept.flatten())
    of_run = run[kept // 4]
    assert (of_run == of_run[:, :1]).all()
    assert (np.diff(of_run[:, 0]) >= 0).all()
    needed = sum(-(-playing[run == one].sum() // 4) for one in np.unique(run))
    assert len(kept) == max(needed, min(2, len(playing)))
    for one in np.unique(of_run):
        mine = kept[of_run[:, 0] == one].flatten()
        assert (np.diff(mine[playing.flatten()[mine]]) > 0).all()  # in their order


@pytest.mark.parametrize("n", [32, 96, 1024])
def test_tanh_gives_a_run_the_same_bits_at_any_row_of_whole_registers(n):
    x = random(RUNS, 3, n)
    together = bits.tanh(x.clone())
    for row in range(RUNS):
        assert torch.equal(bits.tanh(x[[row]].clone())[0], together[row])


def test_tanh_has_the_slope_of_tanh_and_that_slopes_slope():
    x = random(3, 32).double().requires_grad_()
    for of_slope in (False, True):

        def found(function, again=of_slope):
            y = function(x * 1.0)
            (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=again)
            return torch.autograd.grad((slope * x.detach()).sum(), x)[0] if again else slope

        torch.testing.assert_close(found(bits.tanh), found(torch.tanh), rtol=1e-9, atol=1e-9)


def test_without_whole_registers_a_runs_sigmoid_changes_with_its_position():
    changed = 0
    for n in (33, 35, 39, 40):
        x = random(RUNS, 3, n)
        together = torch.sigmoid(x)
        changed += sum(not torch.equal(torch.sigmoid(x[[row]])[0], together[row]) for row in range(RUNS))
    assert changed


def test_flat_rows_hold_whole_registers():
    assert [bits.aligned(n) for n in (1, 63, 64, 65, 128, 129)] == [64, 64, 64, 128, 128, 192]
    assert [bits.aligned(n, 8) for n in (1, 8, 9)] == [8, 8, 16]


def sums(run, length, x, largest=bits.LARGEST, only=None):
    """The sum of x over each run's steps."""
    total = torch.zeros(int(run.max()) + 1)
    for rows, index in bits.step_blocks(run, length, CPU, largest, only):
        total.index_add_(0, rows, x[index].sum(-1))
    return total


def test_a_runs_sum_over_its_blocks_keeps_its_bits_in_any_company():
    lengths = [[700, 300], [33], [5000], [1, 2, 3], [1024]]
    steps = [random(sum(own), seed=seed) for seed, own in enumerate(lengths)]
    for rows in ([0, 1, 2, 3, 4], [4, 0], [2, 3, 1]):
        run = np.repeat(np.arange(len(rows)), [len(lengths[row]) for row in rows])
        packed = torch.cat([*(steps[row] for row in rows), torch.zeros(1)])
        together = sums(run, np.concatenate([lengths[row] for row in rows]), packed)
        for place, row in enumerate(rows):
            alone = torch.cat((steps[row], torch.zeros(1)))
            expected = sums(np.zeros(len(lengths[row]), dtype=int), np.array(lengths[row]), alone)[0]
            assert torch.equal(together[place], expected)


def test_a_sum_over_data_padded_to_a_neighbours_length_would_change_its_bits():
    x = random(50, 1000)
    assert any(not torch.equal(x.sum(-1), pad(x, (0, length - 1000)).sum(-1)) for length in (1024, 1500, 2048))


def test_step_blocks_cover_every_step_once_and_in_order():
    run, length = np.array([0, 0, 1, 3, 3, 3]), np.array([5, 40, 7, 1000, 900, 800])
    every = {0: list(range(45)), 1: list(range(45, 52)), 3: list(range(52, 2752))}
    for only in (None, np.array([1, 3]), np.array([2])):
        seen = {}
        for rows, index in bits.step_blocks(run, length, CPU, only=only):
            assert len(rows) > 1
            assert index.shape[1] % 32 == 0
            for row, positions in zip(rows.tolist(), index.tolist(), strict=True):
                seen.setdefault(row, []).extend(p for p in positions if p < length.sum())
        assert seen == {row: steps for row, steps in every.items() if only is None or row in only}


def test_the_shape_of_a_padded_batch_is_the_runs_own():
    run, length = np.array([2, 2, 2, 3, 5, 5]), np.array([3, 20, 1, 70, 2, 2])
    shapes = {}
    for rows, index in bits.padded_batches(run, length, CPU, slice(2, 6)):
        for row, positions in zip(rows.tolist(), index.tolist(), strict=True):
            shapes[row] = index.shape[1:]
            steps = [[p for p in episode if p < length.sum()] for episode in positions]
            own = np.split(np.arange(length.sum()), np.cumsum(length))[:-1]
            expected = [episode.tolist() for episode, of in zip(own, run, strict=True) if of == row]
            assert steps == expected + [[]] * (len(steps) - len(expected))
    assert shapes == {2: (4, 24), 3: (4, 96), 5: (4, 16)}
    for row in (2, 3, 5):
        ((rows, index),) = bits.padded_batches(run, length, CPU, slice(row, row + 1))
        assert (rows.tolist(), index.shape[1:]) == ([row], shapes[row])
    assert not list(bits.padded_batches(run, length, CPU, slice(4, 5)))
