"""The contract of a weighting: from a `Batch` to Ψ `[..., E, T]`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.returns import rewards_to_go
from pglab.algorithms.weightings import declared_bias
from pglab.testing.batches import mapped, named_tensors, random_batch, run_of, spoilt, with_padding, with_run
from pglab.testing.bias import check_unbiased
from pglab.testing.findings import attempt, differing, first, name_of, place, require, same, unchanged

LEADING = ((), (1,), (3,), (2, 3))
SIZES = ((1, 1), (1, 6), (4, 1), (3, 5), (5, 16))  # episodes and steps of a batch
ROUNDING = 1e-9  # sums over other shapes may round otherwise; all numbers are near 1 and double
AXES = "[..., E, T]"

Memory = Mapping[str, Tensor]


def check_weighting(weighting: Any, gamma: float | None = None) -> None:
    """Checks that a weighting keeps its contract (see `pglab.algorithms.weightings`).

    On random batches of many shapes, in single and double precision: Ψ has the rewards' shape and
    dtype and is finite, also where all rewards are equal; it is zero after each episode's end and
    has no gradient attached, also where the batch has one; the batch is not changed in place; the
    same batch has the same weights; runs along leading axes are weighed each by itself; padding
    (longer T, empty episodes) changes no weight. Unless the weighting declares a `bias`: the exact
    mean of its estimate over every batch of small problems is ∇J of E[Σ γ^t r_t], where Ψ_t is given
    the factor γ^t as in training unless the weighting is `discounted_from_start`.

    A baseline in a field `baseline` is treated as in training: one with a `critic` finds its values
    in the batch, and what a `remember` kept of earlier batches is in `batch.memory`. The
    observations and actions tried are 0 and 1.

    Args:
        weighting: the component, ready to be called.
        gamma: γ of the objective; by default the weighting's own `gamma` if it has one, else 1.

    Raises:
        AssertionError: what broke, where, what was expected and what to do.
    """
    baseline = getattr(weighting, "baseline", None)
    subject = Subject(name_of(weighting), weighting, hasattr(baseline, "critic"), getattr(baseline, "remember", None))
    check_weights(subject)
    if not check_declaration(subject.name, weighting):
        own = getattr(weighting, "gamma", 1.0) if gamma is None else gamma
        for memory in subject.memories():
            check_unbiased(subject.name, weighting, own, subject.critic, memory)


@dataclass(frozen=True)
class Subject:
    """A weighting under test.

    Attributes:
        name: in messages.
        weigh: from a batch to Ψ.
        critic: whether its batches carry a critic's values.
        remember: the `remember` of its baseline, or None.
    """

    name: str
    weigh: Callable[[Batch], Any]
    critic: bool
    remember: Callable[[Memory, Batch, Tensor], Memory] | None

    def batch(
        self, *leading: int, episodes: int = 4, steps: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> Batch:
        return random_batch(*leading, episodes=episodes, steps=steps, seed=seed, value=self.critic, dtype=dtype)

    def memories(self, *leading: int) -> Iterator[Memory]:
        """The possible contents of `batch.memory`: nothing, and what was kept of an earlier batch."""
        yield {}
        if self.remember is not None:
            earlier = self.batch(*leading, seed=1)
            yield attempt(
                f"{self.name}: `remember`", self.remember, {}, earlier, rewards_to_go(earlier.reward, gamma=1.0)
            )

    def __call__(self, batch: Batch) -> Tensor:
        return attempt(f"{self.name}, called with a batch [..., E, T] = {list(batch.reward.shape)},", self.weigh, batch)


def check_declaration(name: str, component: Any) -> tuple[str, ...]:
    """The reasons for bias that a component declares, if it does so in the right form."""
    reasons = attempt(f"{name}: `bias`", declared_bias, component)
    require(
        all(isinstance(reason, str) and reason for reason in reasons),
        f"{name} declares bias = {getattr(component, 'bias', None)!r}, which must be a reason in words or a tuple of "
        "them (empty: unbiased)",
    )
    return reasons


def check_weights(subject: Subject) -> None:
    """Everything but the bias."""
    for leading in LEADING:
        for memory in subject.memories(*leading):
            for seed, (episodes, steps) in enumerate(SIZES):
                batch = replace(subject.batch(*leading, episodes=episodes, steps=steps, seed=seed), memory=memory)
                _check_one(subject, batch)
                _check_one(subject, replace(batch, reward=batch.mask.double()))
    _check_no_gradient(subject)
    for memory in subject.memories(3):
        _check_one(subject, replace(subject.batch(3, dtype=torch.float32), memory=memory))
        _check_runs_apart(subject, replace(subject.batch(3), memory=memory))
    for memory in subject.memories(2, 3):
        _check_leading_axes(subject, replace(subject.batch(2, 3), memory=memory))
    for memory in subject.memories():
        _check_padding(subject, replace(subject.batch(), memory=memory))


def _check_one(subject: Subject, batch: Batch) -> None:
    name, shape = subject.name, list(batch.reward.shape)
    with unchanged(name, named_tensors(batch)):
        psi = subject(batch)
    require(isinstance(psi, Tensor), f"{name} returned a {type(psi).__name__}; a tensor of weights is expected")
    require(
        psi.shape == batch.reward.shape,
        f"{name} returned weights of shape {list(psi.shape)} for rewards [..., E, T] of shape {shape}: return one "
        "weight for every reward, whatever the leading axes (count axes from the end: dim=-1 is T, dim=-2 is E)",
    )
    require(
        psi.dtype == batch.reward.dtype,
        f"{name} returned {psi.dtype} for rewards of {batch.reward.dtype}: convert it with `.to(batch.reward)`",
    )
    _require_no_gradient(name, psi, "")
    bad = ~psi.isfinite()
    if bad.any():
        raise AssertionError(
            f"{name} returned a weight that is not finite {place(bad, AXES)} for rewards of shape "
            f"{shape}: take care of 0/0 (a batch of one step, equal rewards, steps after an episode's end)",
        )
    bad = (psi != 0) & ~batch.mask
    if bad.any():
        raise AssertionError(
            f"{name} gave a weight to a step after the end of its episode, {place(bad, AXES)}: "
            "padding must have weight 0 (multiply by `batch.mask`)",
        )
    again = subject(batch)
    require(
        same(psi, again),
        f"{name} gave the same batch other weights when called again: weights must be a function of the batch alone "
        "(no random numbers, no state; what is learnt from earlier batches belongs into `remember`)",
    )


def _check_no_gradient(subject: Subject) -> None:
    batch = subject.batch()
    batch = mapped(batch, lambda kept: kept.clone().requires_grad_() if kept.is_floating_point() else kept)
    _require_no_gradient(subject.name, subject(batch), " where the batch's tensors have one")


def _require_no_gradient(name: str, psi: Tensor, when: str) -> None:
    require(
        not psi.requires_grad,
        f"{name} returned weights with a gradient attached{when}, which would be differentiated together with "
        "log π: return `psi.detach()`",
    )


def _check_runs_apart(subject: Subject, batch: Batch) -> None:
    psi = subject(batch)
    *_, memory = subject.memories(3)
    other = replace(subject.batch(3, seed=2), memory={key: memory[key] + 1 for key in batch.memory})
    for run in range(3):
        for kind, changed in (("other episodes", with_run(batch, run, other)), ("NaN", spoilt(batch, run))):
            moved = differing(subject(changed), psi, ROUNDING)
            moved[run] = False
            if moved.any():
                raise AssertionError(
                    f"{subject.name} leaks between runs: with {kind} in run {run}, the weights of run "
                    f"{first(moved)[0]} changed; reduce over E and T only (dim=-1, -2), "
                    "never over a leading axis",
                )


def _check_leading_axes(subject: Subject, batch: Batch) -> None:
    psi = subject(batch)
    for i in range(2):
        moved = differing(subject(run_of(batch, i)), psi[i], ROUNDING)
        for j in range(3):
            moved[j] |= differing(subject(run_of(batch, i, j)), psi[i, j], ROUNDING)
        if moved.any():
            raise AssertionError(
                f"{subject.name} depends on the leading axes: in a batch [2, 3, E, T] run "
                f"{[i, first(moved)[0]]} has other weights than alone; count axes from the end "
                "(dim=-1 is T, dim=-2 is E)",
            )


def _check_padding(subject: Subject, batch: Batch) -> None:
    psi = subject(batch)
    episodes, steps = psi.shape
    for kind, more in (("steps after the end of every episode", (0, 5)), ("empty episodes", (3, 0))):
        moved = differing(subject(with_padding(batch, *more))[:episodes, :steps], psi, ROUNDING)
        if moved.any():
            raise AssertionError(
                f"{subject.name} counts padding: with more {kind} a weight changed {place(moved, AXES)}; "
                "use `batch.mask` for sums and counts (`batch.mask[..., 0]` says which episodes exist), not the shape",
            )
