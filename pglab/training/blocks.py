"""Cutting packed episodes into blocks of a fixed shape.

Promise: a run's numbers do not depend on its neighbours. A matrix product or a sum over padded
data keeps its bits only while its shape stays the same, so every shape here is decided by one
run's own data: runs that happen to agree are computed together, the others one after another.
Shapes hold a multiple of 32 numbers a run, a whole number of vector registers, so that no run
is ever computed by the scalar code for a vector's remainder; and no matrix product is ever
alone in its batch, where another routine with other bits would compute it.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pglab.training.episodes import Episodes

SMALLEST, LARGEST = 32, 1024  # steps in a block
CACHED = 8192  # steps computed at a time: what a core's cache holds of a small network

Block = tuple[Tensor, Tensor]


def step_blocks(run: np.ndarray, length: np.ndarray, device: torch.device, largest: int = LARGEST) -> Iterator[Block]:
    """Blocks of consecutive steps, several at a time, for sums over all steps of each run.

    Args:
        run, length: of packed episodes, `[M]`, S steps in all.
        largest: most steps in a block, a power of two of at least `SMALLEST`.

    Yields:
        `(rows [b], index [b, n])`: the run of each of b ≥ 2 blocks, and the positions of its n
        packed steps, padded with S. The blocks of one run come in order of its steps, and may
        come together: sum them with `index_add_`, which keeps the order.
    """
    steps = np.bincount(run, weights=length).astype(np.int64)
    start = np.cumsum(steps) - steps
    total = int(steps.sum())
    sizes = np.clip(_power_of_two(steps), SMALLEST, largest)
    for size in np.unique(sizes[steps > 0]):
        members = np.flatnonzero((sizes == size) & (steps > 0))
        blocks = -(-steps[members] // size)
        rows = np.repeat(members, blocks)
        offset = (np.arange(len(rows)) - np.repeat(np.cumsum(blocks) - blocks, blocks)) * size
        if len(rows) % (CACHED // size) == 1:  # an empty block keeps the last one company
            rows, offset = np.append(rows, rows[-1]), np.append(offset, steps[rows[-1]])
        within = offset[:, None] + np.arange(size)
        index = np.where(within < steps[rows, None], start[rows, None] + within, total)
        for i in range(0, len(rows), CACHED // size):
            group = slice(i, i + CACHED // size)
            yield torch.from_numpy(rows[group]).to(device), torch.from_numpy(index[group]).to(device)


def episode_blocks(episodes: Episodes) -> Iterator[Block]:
    """Episode-major batches of runs whose padded shapes agree.

    Yields:
        `(rows [r], index [r, E, T])`: positions of the packed steps of the episodes of each of
        r runs, padded with S. E and T are the run's own numbers, rounded up.
    """
    run, length, start = episodes.run, episodes.length, episodes.start
    device = episodes.obs.device
    rows, first, count = np.unique(run, return_index=True, return_counts=True)
    longest = np.maximum.reduceat(length, first)
    shapes = np.stack((_round_up(np.maximum(count, 4)), _round_up(np.maximum(longest, 16))), 1)
    total = int(length.sum())
    for shape in np.unique(shapes, axis=0):
        members = np.flatnonzero((shapes == shape).all(1))
        slot = np.arange(shape[0])
        exists = slot < count[members, None]
        episode = np.where(exists, first[members, None] + slot, 0)
        steps = np.where(exists, length[episode], 0)
        within = np.arange(shape[1])
        index = np.where(within < steps[..., None], start[episode][..., None] + within, total)
        yield torch.from_numpy(rows[members]).to(device), torch.from_numpy(index).to(device)


def _power_of_two(n: np.ndarray) -> np.ndarray:
    """The smallest power of two that is at least n ≥ 1."""
    return 1 << np.ceil(np.log2(np.maximum(n, 1))).astype(np.int64)


def _round_up(n: np.ndarray) -> np.ndarray:
    """The smallest of 4, 8, 16, 24, 32, 48, 64, 96, … that is at least n ≥ 4."""
    above = _power_of_two(n)
    between = above * 3 // 4
    return np.where((above > 16) & (n <= between), between, above)
