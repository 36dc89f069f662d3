"""The contract of a baseline: from a batch and its returns to b `[..., E, T]`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Literal

import torch
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.returns import rewards_to_go, total_returns
from pglab.algorithms.weightings import ReturnMinusBaseline
from pglab.testing.batches import named_tensors, run_of, spoilt, with_padding
from pglab.testing.bias import check_unbiased
from pglab.testing.findings import attempt, differing, first, name_of, require, unchanged
from pglab.testing.weightings import (
    LEADING,
    ROUNDING,
    SIZES,
    Memory,
    Subject,
    check_declaration,
    check_weights,
)

ReturnsOf = Callable[[Tensor, float], Tensor]
RETURNS: dict[Literal["rtg", "total"], ReturnsOf] = {"rtg": rewards_to_go, "total": total_returns}


def check_baseline(baseline: Any) -> None:
    """Checks that a baseline keeps its contract (see `pglab.algorithms.baselines`).

    Inside `ReturnMinusBaseline` it passes all that `check_weighting` checks, for rewards-to-go and
    total returns and γ = 1 and 0.9; it does not change `returns` in place. Unless it declares a
    `bias`: b_t depends on neither the episode's own action a_t nor on what follows it, and the exact
    mean of the estimate is ∇J. A `remember` returns named tensors with the runs' leading axes, the
    same names, dtypes and trailing axes every time; each run remembers for itself, padding is not
    remembered, and nothing is changed in place. One with a method `critic` finds a critic's
    values in the batch.

    Args:
        baseline: the component, ready to be called.

    Raises:
        AssertionError: what broke, where, what was expected and what to do.
    """
    name = name_of(baseline)
    remember = getattr(baseline, "remember", None)
    subject = Subject(name, ReturnMinusBaseline(1.0, baseline), hasattr(baseline, "critic"), remember)
    if remember is not None:
        _check_remember(subject, remember)
    for leading, (episodes, steps) in product(LEADING, SIZES):
        for memory in subject.memories(*leading):
            _check_raw(name, baseline, replace(subject.batch(*leading, episodes=episodes, steps=steps), memory=memory))
    for returns in RETURNS:
        check_weights(replace(subject, weigh=ReturnMinusBaseline(1.0, baseline, returns)))
    if check_declaration(name, baseline):
        return
    for memory in subject.memories():
        for returns, of_rewards in RETURNS.items():
            batch = replace(subject.batch(), memory=memory)
            _check_sees_no_future(name, baseline, of_rewards, batch)
            for gamma in (1.0, 0.9):
                weighting = ReturnMinusBaseline(gamma, baseline, returns)
                kind = {"rtg": "rewards-to-go", "total": "total returns"}[returns]
                check_unbiased(name, weighting, gamma, subject.critic, memory, f" when subtracted from {kind}")


def _call(name: str, baseline: Any, batch: Batch, returns: Tensor) -> Any:
    shape = list(batch.reward.shape)
    return attempt(f"{name}, called with a batch and returns [..., E, T] = {shape},", baseline, batch, returns)


def _check_raw(name: str, baseline: Any, batch: Batch) -> None:
    returns = rewards_to_go(batch.reward, gamma=1.0).clone()
    with unchanged(name, named_tensors(batch) | {"returns": returns}):
        b = _call(name, baseline, batch, returns)
    require(isinstance(b, Tensor), f"{name} returned a {type(b).__name__}; a tensor is expected")
    require(
        _broadcasts(b, returns),
        f"{name} returned shape {list(b.shape)}, which does not broadcast to the returns' [..., E, T] = "
        f"{list(returns.shape)}: give every run's baseline its E and T axes (`b[..., None, None]`)",
    )


def _broadcasts(b: Tensor, returns: Tensor) -> bool:
    padded = (1,) * (returns.dim() - b.dim()) + tuple(b.shape)
    return len(padded) == returns.dim() and all(n in (1, full) for n, full in zip(padded, returns.shape, strict=True))


def _check_sees_no_future(name: str, baseline: Any, returns_of: ReturnsOf, batch: Batch) -> None:
    """Changes one episode from step t on and looks whether its baseline up to t has changed."""

    def values(of: Batch) -> Tensor:
        return _call(name, baseline, of, returns_of(of.reward, 1.0)).expand_as(of.reward)

    b = values(batch)
    for episode, step in batch.mask.nonzero().tolist():
        for what, changed in _other_futures(batch, episode, step).items():
            moved = differing(values(changed)[episode, : step + 1], b[episode, : step + 1], ROUNDING)
            if moved.any():
                raise AssertionError(
                    f"{name} depends on {what}: with another one at step {step} of episode {episode}, that episode's "
                    f"baseline at step {first(moved)[0]} changed, which biases the gradient; use "
                    "other episodes, earlier batches or what came before the action, or declare the reason in an "
                    "attribute `bias`",
                )


def _other_futures(batch: Batch, episode: int, step: int) -> dict[str, Batch]:
    """The batch `[E, T]` where one episode went another way at `step`, by what is different."""
    later = torch.zeros_like(batch.mask)
    later[episode, step + 1 :] = batch.mask[episode, step + 1 :]
    now = torch.zeros_like(batch.mask)
    now[episode, step] = True
    value = batch.value
    futures = {
        "the action that it is subtracted for": replace(batch, action=torch.where(now, 1 - batch.action, batch.action)),
        "the reward that follows the action": replace(batch, reward=batch.reward + now),
    }
    if later.any():
        futures["what follows the action"] = replace(
            batch,
            obs=torch.where(later[..., None], 1 - batch.obs, batch.obs),
            action=torch.where(later, 1 - batch.action, batch.action),
            reward=batch.reward - later.double(),
            value=None if value is None else value + later,
        )
        end = torch.where(now, True, batch.terminated & ~later)
        futures["when the episode ends"] = replace(
            batch,
            obs=batch.obs * ~later[..., None],
            action=batch.action * ~later,
            reward=batch.reward * ~later,
            mask=batch.mask & ~later,
            terminated=end,
            truncated=batch.truncated & ~later,
            value=None if value is None else value * ~later,
        )
    return futures


def _check_remember(subject: Subject, remember: Callable[[Memory, Batch, Tensor], Any]) -> None:
    name = f"{subject.name}: `remember`"

    def kept_of(memory: Memory, batch: Batch) -> dict[str, Tensor]:
        returns = rewards_to_go(batch.reward, gamma=1.0).clone()
        with unchanged(name, named_tensors(replace(batch, memory=memory)) | {"returns": returns}):
            kept = attempt(name, remember, memory, replace(batch, memory=memory), returns)
        _check_memory(name, kept, batch)
        return dict(kept)

    known: dict[str, tuple] = {}
    for leading, (episodes, steps) in product(LEADING, SIZES):
        memory: dict[str, Tensor] = {}
        for seed, dtype in enumerate((torch.float32, torch.float64, torch.float32)):
            batch = subject.batch(*leading, episodes=episodes, steps=steps, seed=seed, dtype=dtype)
            memory = kept_of(memory, batch)
            kinds = {key: (kept.dtype, tuple(kept.shape[len(leading) :])) for key, kept in memory.items()}
            known = known or kinds
            require(
                kinds == known,
                f"{name} returned other names, dtypes or trailing axes for a batch [..., E, T] = "
                f"{list(batch.reward.shape)} of {dtype} ({kinds}) than for the first one ({known}): keep them the "
                "same for every batch (numbers that add up are best kept in double precision)",
            )
    batch, earlier = subject.batch(3), subject.batch(3, seed=1)
    memory = kept_of({}, earlier)
    kept = kept_of(memory, batch)
    _require_same(kept_of(memory, batch), kept, f"{name} is not a function of its arguments: called again it differs")
    for run in range(3):
        own = kept_of({key: x[run] for key, x in memory.items()}, run_of(batch, run))
        _require_same(
            own, {key: x[run] for key, x in kept.items()}, f"{name} keeps for run {run} of 3 other than alone"
        )
        beside = kept_of(memory, spoilt(batch, run))
        others = [other for other in range(3) if other != run]
        _require_same(
            {key: x[others] for key, x in beside.items()},
            {key: x[others] for key, x in kept.items()},
            f"{name} leaks between runs: NaN in run {run} changes what the others remember",
        )
    plain = subject.batch()
    for kind, more in (("steps", (0, 5)), ("episodes", (3, 0))):
        _require_same(
            kept_of({}, with_padding(plain, *more)), kept_of({}, plain), f"{name} counts padding: more empty {kind}"
        )


def _check_memory(name: str, kept: Any, batch: Batch) -> None:
    require(
        isinstance(kept, Mapping) and all(isinstance(x, Tensor) for x in kept.values()),
        f"{name} must return a mapping from names to tensors, not {type(kept).__name__} "
        f"{list(kept.items()) if isinstance(kept, Mapping) else ''}",
    )
    leading = batch.reward.shape[:-2]
    for key, x in kept.items():
        require(
            x.shape[: len(leading)] == leading,
            f"{name} returned {key!r} of shape {list(x.shape)} for a batch with leading axes {list(leading)}: each "
            "entry needs one row for every run (reduce over E and T only)",
        )
        require(not x.requires_grad, f"{name} returned {key!r} with a gradient attached: return `x.detach()`")
        if not batch.reward.isnan().any() and not x.isfinite().all():
            raise AssertionError(f"{name} returned {key!r} that is not finite: take care of 0/0 in a batch of one step")


def _require_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor], finding: str) -> None:
    for key in other:
        close = one[key].shape == other[key].shape and not differing(one[key], other[key], ROUNDING).any()
        require(close, f"{finding} in {key!r}; reduce each run's own episodes, over E and T with `batch.mask`")
