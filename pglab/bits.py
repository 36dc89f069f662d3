"""Kernels and shapes that keep a run's bits the same, alone and in any company.

A run's numbers must not depend on what is computed beside them. On a CPU with one thread they keep
their bits as long as the following holds, and everything that computes several runs at once goes
through this module for it:

- *Shapes* are decided by a run's own data: a matrix product or a sum over padded data keeps its
  bits only while its shape stays the same. Runs whose shapes agree are computed together, the
  others one after another (`step_blocks`, `padded_batches`).
- *Whole vector registers*: shapes hold a multiple of 32 numbers a run, and flat rows a multiple
  of 64, so that no run is ever computed by the scalar code for a vector's remainder, whose last
  bits can differ (`aligned`, `step_blocks`, `tanh`).
- *Alignment in memory*: the bits of a matrix product depend on where its matrices lie, so they
  all lie alike (`affine`).
- *In order*: a sum of a few chosen rows is made in their order, whatever else is summed (`affine` of whole
  numbers).
- *Never alone*: another routine, with other bits, computes a batch of one matrix product
  (`close_up`, `step_blocks`).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

ROW = 64  # numbers: flat rows of parameters hold a multiple of it
SMALLEST, LARGEST = 32, 1024  # steps in a block
CACHED = 8192  # steps computed at a time: what a core's cache holds of a small network
IMAGE = 1024  # numbers: larger observations are computed in fewer steps at a time, for the sake of memory
LARGEST_OF_IMAGES, NUMBERS = 128, 2**22  # steps in a block of images, numbers computed at a time

Block = tuple[Tensor, Tensor]


def aligned(size: int, to: int = ROW) -> int:
    """The smallest multiple of `to` that is at least `size`."""
    return -(-size // to) * to


def affine(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """W x + b for each of B ≥ 2 runs: `[B, out, in]`, `[B, out]`, `[B, in, n]` to `[B, out, n]`.

    Zeros fill up `in` until the W of every run, and with it its gradient, begins at a multiple of
    64 bytes. An x of whole numbers is taken to be 0 nearly everywhere: only the columns of W where
    it is not are read, one after another for each of the n, quickest where W lies column by column.
    """
    if not x.dtype.is_floating_point:
        return _sparse_product(weight, x) + bias.unsqueeze(-1)
    outputs, inputs = weight.shape[-2:]
    missing = -inputs % (16 // math.gcd(outputs, 16))
    if missing:
        weight, x = pad(weight, (0, missing)), pad(x, (0, 0, 0, missing))
    return torch.baddbmm(bias.unsqueeze(-1), weight, x)


def _sparse_product(weight: Tensor, x: Tensor) -> Tensor:
    """W x `[B, out, n]` of whole numbers x `[B, in, n]`."""
    (runs, inputs, n), device = x.shape, x.device
    by_step = x.mT.contiguous()
    found = torch.from_numpy(np.flatnonzero(by_step.cpu().numpy().astype(bool, copy=False))).to(device)
    step = found // inputs
    column = found % inputs + step // n * inputs
    times = by_step.flatten()[found].to(weight.dtype)
    first = torch.searchsorted(step, torch.arange(runs * n, device=device))
    return _Columns.apply(weight.mT.flatten(0, 1), column, times, step, first).unflatten(0, (runs, n)).mT


class _Columns(torch.autograd.Function):
    """Of every step the sum of the matrix's rows `column`, `times` each; its terms begin at `first`."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, column: Tensor, times: Tensor, step: Tensor, first: Tensor) -> Tensor:
        ctx.save_for_backward(column, times, step)
        ctx.rows = len(matrix)
        return embedding_bag(column, matrix, first, mode="sum", per_sample_weights=times)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None, None]:
        (slope,), (column, times, step) = slopes, ctx.saved_tensors
        terms = slope.index_select(0, step) * times[:, None]
        return slope.new_zeros(ctx.rows, slope.shape[1]).index_add(0, column, terms), None, None, None, None


def tanh(x: Tensor) -> Tensor:
    """tanh x = 2 σ(2x) - 1, to within two roundings of 1 (2⁻²² in single precision); overwrites x.

    `torch.tanh` takes several times as long on a CPU, and would be a third of all training. σ
    changes its bits with the position in a vector, but not in whole registers: x has a multiple
    of 32 numbers a run.
    """
    return _Tanh.apply(x)[0] if x.requires_grad else _twice_less_one(x.mul_(2.0).sigmoid_())


def _twice_less_one(s: Tensor) -> Tensor:
    return torch.add(torch.full((), -1.0, dtype=s.dtype, device=s.device), s, alpha=2.0)


class _Tanh(torch.autograd.Function):
    """tanh x and σ(2x); the slope 4 (1 - σ) σ takes half of the passes over memory that autograd's own graph makes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        s = x.mul_(2.0).sigmoid_()
        ctx.mark_dirty(x)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(s)  # an output, so that slopes have slopes
        return _twice_less_one(s), s

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> Tensor:
        (s,), (of_tanh, of_sigmoid) = ctx.saved_tensors, slopes
        slope = torch.zeros_like(s) if of_tanh is None else of_tanh
        if of_sigmoid is not None:
            slope = slope + of_sigmoid / 2
        return torch.ops.aten.sigmoid_backward(slope, s).mul_(4.0)


def close_up(run: np.ndarray, playing: np.ndarray) -> np.ndarray | None:
    """The lanes to go on with, by their places, once some no longer play: `[b', C]`, or None for all there are.

    They fill whole banks of a run each: first the lanes that play, in their order, then as many others as it takes.
    Of two banks or more, two stay at least.

    Args:
        run: row of each bank's run, `[b]`, ascending.
        playing: lanes that play, `[b, C]`.
    """
    lanes = playing.shape[1]
    first = np.flatnonzero(np.diff(run, prepend=-1))
    there = np.diff(first, append=len(run))
    banks = -(-np.add.reduceat(playing.sum(1), first) // lanes)
    while banks.sum() < min(2, len(run)):
        banks[np.flatnonzero(banks < there)[0]] += 1
    if banks.sum() == len(run):
        return None
    order = np.lexsort((~playing.reshape(-1), np.repeat(run, lanes)))
    place = np.arange(len(order)) - np.repeat(first * lanes, there * lanes)
    return order[place < np.repeat(banks * lanes, there * lanes)].reshape(-1, lanes)


def step_blocks(
    run: np.ndarray,
    length: np.ndarray,
    device: torch.device,
    largest: int = LARGEST,
    only: np.ndarray | None = None,
    numbers: int = 1,
) -> Iterator[Block]:
    """Cuts packed steps into blocks of consecutive ones, for sums over all steps of each run.

    Args:
        run: row of each packed episode's run, `[M]`, ascending.
        length: its steps, `[M]`, S in all.
        largest: most steps in a block, a power of two of at least `SMALLEST`.
        only: rows whose steps to take, ascending; by default all.
        numbers: of an observation.

    Yields:
        `(rows [b], index [b, n])`: the row of each of b ≥ 2 blocks, and the positions of its n
        packed steps, padded with S. The blocks of one run come in order of its steps, and may
        come together: sum them with `index_add_`, which keeps the order.
    """
    cached = CACHED
    if numbers > IMAGE:
        largest = min(largest, LARGEST_OF_IMAGES)
        cached = max(NUMBERS // numbers // largest, 2) * largest
    steps = np.bincount(run, weights=length).astype(np.int64)
    start = np.cumsum(steps) - steps
    total = int(steps.sum())
    sizes = np.clip(_power_of_two(steps), SMALLEST, largest)
    taken = steps > 0
    if only is not None:
        listed = np.zeros_like(taken)
        listed[only[only < len(steps)]] = True
        taken &= listed
    for size in np.unique(sizes[taken]):
        members = np.flatnonzero((sizes == size) & taken)
        blocks = -(-steps[members] // size)
        rows = np.repeat(members, blocks)
        offset = (np.arange(len(rows)) - np.repeat(np.cumsum(blocks) - blocks, blocks)) * size
        if len(rows) % (cached // size) == 1:  # an empty block keeps the last one company
            rows, offset = np.append(rows, rows[-1]), np.append(offset, steps[rows[-1]])
        within = offset[:, None] + np.arange(size)
        index = np.where(within < steps[rows, None], start[rows, None] + within, total)
        for i in range(0, len(rows), cached // size):
            group = slice(i, i + cached // size)
            yield torch.from_numpy(rows[group]).to(device), torch.from_numpy(index[group]).to(device)


def padded_batches(run: np.ndarray, length: np.ndarray, device: torch.device, rows: slice) -> Iterator[Block]:
    """Cuts the packed episodes of some rows into episode-major batches of runs whose shapes agree.

    Args:
        run, length: as for `step_blocks`.
        rows: whose episodes to take.

    Yields:
        `(rows [r], index [r, E, T])`: positions of the packed steps of the episodes of each of
        r runs, padded with S. E and T are the run's own numbers, rounded up.
    """
    begin, end = np.searchsorted(run, (rows.start, rows.stop))
    start, total = np.cumsum(length) - length, int(length.sum())
    members, first, count = np.unique(run[begin:end], return_index=True, return_counts=True)
    if not len(members):
        return
    longest = np.maximum.reduceat(length[begin:end], first)
    first += begin
    shapes = np.stack((_round_up(np.maximum(count, 4)), _round_up(np.maximum(longest, 16))), 1)
    for shape in np.unique(shapes, axis=0):
        alike = np.flatnonzero((shapes == shape).all(1))
        slot = np.arange(shape[0])
        exists = slot < count[alike, None]
        episode = np.where(exists, first[alike, None] + slot, 0)
        steps = np.where(exists, length[episode], 0)
        within = np.arange(shape[1])
        index = np.where(within < steps[..., None], start[episode][..., None] + within, total)
        yield torch.from_numpy(members[alike]).to(device), torch.from_numpy(index).to(device)


def _power_of_two(n: np.ndarray) -> np.ndarray:
    """The smallest power of two that is at least n ≥ 1."""
    return 1 << np.ceil(np.log2(np.maximum(n, 1))).astype(np.int64)


def _round_up(n: np.ndarray) -> np.ndarray:
    """The smallest of 4, 8, 16, 24, 32, 48, 64, 96, … that is at least n ≥ 4."""
    above = _power_of_two(n)
    between = above * 3 // 4
    return np.where((above > 16) & (n <= between), between, above)
