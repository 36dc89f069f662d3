"""Batches to try weightings and baselines on."""

from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from pglab.algorithms.batch import Batch


def random_batch(
    *leading: int,
    episodes: int,
    steps: int,
    seed: int,
    value: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Batch:
    """Ragged episodes `[..., E, T]` with random numbers, like those that training makes.

    Observations are one of two symbols, actions one of two. Up to half of the episodes, at the
    end, are padding; the last real step of an episode is terminated or truncated.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (*leading, episodes, steps)
    length = torch.randint(1, steps + 1, shape[:-1], generator=generator)
    real = torch.randint((episodes + 1) // 2, episodes + 1, leading, generator=generator)
    length = torch.where(torch.arange(episodes) < real[..., None], length, 0)
    time = torch.arange(steps)
    mask, last = time < length[..., None], time == length[..., None] - 1
    cut = torch.rand(shape[:-1], generator=generator)[..., None] < 0.5
    reward, critic = (torch.randn(shape, generator=generator, dtype=torch.float64) * mask for _ in range(2))
    symbol, action = (torch.randint(0, 2, shape, generator=generator) * mask for _ in range(2))
    return Batch(
        obs=symbol[..., None].to(dtype),
        action=action,
        reward=reward.to(dtype),
        mask=mask,
        terminated=last & ~cut,
        truncated=last & cut,
        value=critic.to(dtype) if value else None,
    )


def mapped(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with the function applied to every tensor in it, those of the memory included."""
    changed = {field.name: getattr(batch, field.name) for field in fields(batch)}
    changed = {name: function(kept) if isinstance(kept, Tensor) else kept for name, kept in changed.items()}
    return replace(batch, **changed | {"memory": {name: function(kept) for name, kept in batch.memory.items()}})


def named_tensors(batch: Batch) -> dict[str, Tensor]:
    """Every tensor of the batch by the name that a message gives it."""
    named = {f"batch.{field.name}": getattr(batch, field.name) for field in fields(batch)}
    own = {name: kept for name, kept in named.items() if isinstance(kept, Tensor)}
    return own | {f"batch.memory[{name!r}]": kept for name, kept in batch.memory.items()}


def run_of(batch: Batch, *index: int) -> Batch:
    """One run of a batch with leading axes."""
    return mapped(batch, lambda kept: kept[index])


def with_run(batch: Batch, run: int, other: Batch) -> Batch:
    """The batch `[K, E, T]` with one run replaced by that of another batch of the same shape."""
    mine, theirs = (list(named_tensors(each).values()) for each in (batch, other))
    replaced = {id(a): torch.where(_is_run(a, run), b, a) for a, b in zip(mine, theirs, strict=True)}
    return mapped(batch, lambda kept: replaced[id(kept)])


def spoilt(batch: Batch, run: int) -> Batch:
    """The batch `[K, E, T]` with every real number of one run not a number."""
    nan = torch.tensor(float("nan"))
    return mapped(
        batch, lambda kept: torch.where(_is_run(kept, run), nan.to(kept), kept) if kept.is_floating_point() else kept
    )


def with_padding(batch: Batch, episodes: int, steps: int) -> Batch:
    """The batch `[E, T]` with so many empty episodes and so many steps more."""

    def padded(kept: Tensor) -> Tensor:
        return pad(kept, (0, 0) * (kept.dim() - 2) + (0, steps, 0, episodes))

    return replace(mapped(replace(batch, memory={}), padded), memory=batch.memory)


def _is_run(kept: Tensor, run: int) -> Tensor:
    """Marks where the first axis is `run`, shaped to broadcast against the tensor."""
    return (torch.arange(len(kept)) == run).reshape(-1, *[1] * (kept.dim() - 1))
