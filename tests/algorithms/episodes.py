"""Episodes as plain lists, and as the padded batch that pglab works on."""

from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.weightings import discounted

# No negative zeros: -0.0 + 0.0 is 0.0, an equal number with another bit.
numbers = st.floats(-10, 10, width=32).map(lambda x: x + 0.0)
discounts = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
ragged = st.lists(st.lists(numbers, min_size=1, max_size=9), min_size=1, max_size=6)


def padded(rows: Sequence[Sequence[float]], episodes: int, steps: int, dtype: torch.dtype) -> Tensor:
    table = torch.zeros(episodes, steps, dtype=dtype)
    for e, row in enumerate(rows):
        table[e, : len(row)] = torch.tensor(row, dtype=dtype)
    return table


def batch_of(
    rewards: Sequence[Sequence[float]],
    values: Sequence[Sequence[float]] | None = None,
    actions: Sequence[Sequence[int]] | None = None,
    extra_episodes: int = 0,
    extra_steps: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Batch:
    """The batch `[E, T]` of the given episodes, with as much padding as asked for."""
    shape = (len(rewards) + extra_episodes, max(map(len, rewards)) + extra_steps)
    mask = padded([[1] * len(row) for row in rewards], *shape, torch.bool)
    last = padded([[0] * (len(row) - 1) + [1] for row in rewards], *shape, torch.bool)
    return Batch(
        obs=torch.zeros(*shape, 1, dtype=dtype),
        action=padded(actions or [[0]], *shape, torch.int64),
        reward=padded(rewards, *shape, dtype),
        mask=mask,
        terminated=last,
        truncated=torch.zeros_like(mask),
        value=None if values is None else padded(values, *shape, dtype),
    )


def random_batch(*leading: int, episodes: int = 5, steps: int = 7, seed: int = 0) -> Batch:
    """Ragged episodes `[..., E, T]` of random lengths (some of them 0) with random values."""
    generator = torch.Generator().manual_seed(seed)
    shape = (*leading, episodes, steps)
    length = torch.randint(0, steps + 1, shape[:-1], generator=generator)
    mask = torch.arange(steps) < length[..., None]
    reward, value = (torch.randn(shape, dtype=torch.float64, generator=generator) * mask for _ in range(2))
    memory = {name: torch.rand(leading, dtype=torch.float64, generator=generator) for name in ("total", "episodes")}
    return Batch(
        obs=torch.zeros(*shape, 1, dtype=torch.float64),
        action=torch.zeros(shape, dtype=torch.int64),
        reward=reward,
        mask=mask,
        terminated=torch.arange(steps) == length[..., None] - 1,
        truncated=torch.zeros_like(mask),
        value=value,
        memory=memory,
    )


def return_from(rewards: Sequence[float], t: int, gamma: float) -> float:
    """Σ_{k≥t} γ^{k-t} r_k, by the definition."""
    return sum(gamma ** (k - t) * rewards[k] for k in range(t, len(rewards)))


def with_factor(weighting, on=True):
    """The weighting with the factor γ^t on it, as the trainer puts it."""
    return (lambda batch: discounted(weighting, weighting(batch), weighting.gamma)) if on else weighting
