"""The contract of a policy head whose actions are numbers (see `pglab.testing.check_head`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pglab.envs.spaces import Box
from pglab.exact.sampling_numbers import fault_of_numbers
from pglab.testing.findings import (
    BELOW_ONE,
    PRECISION,
    SLOPE,
    attempt,
    described,
    differing,
    first,
    in_numbers,
    require,
    require_rows_apart,
    same,
    unchanged,
)


def check_numbers(name: str, head: Any, space: Box, width: int) -> None:
    """Checks a head on a Box of actions.

    `sample` is a function of outputs and uniforms, finite for each of these, however near 0 and 1; `log_prob`,
    `entropy` and `kl` are one number a row; the gradient of `log_prob` is its slope; exp(log_prob) is the density of
    what the world is given, E[∇log π] = 0, `entropy` = -E[log π] and `kl` = E[log π_old - log π]
    (see `pglab.exact.sampling_numbers`). A head that declares a bias is held against its densities without it.

    Args:
        name: in messages.
        head: not yet bound to the space.
        width: outputs of the network.

    Raises:
        AssertionError: what broke, where, what was expected and what to do.
    """
    trial = Trial(name, head, space, width)
    for dtype in PRECISION:
        for leading in ((), (1,), (7,), (2, 3)):
            trial.check_shapes(trial.outputs(*leading, dtype=dtype))
        trial.check_rows_apart(trial.outputs(5, dtype=dtype))
    trial.check_slope(trial.outputs(5))
    plain = head.without_bias() if getattr(head, "bias", ()) and hasattr(head, "without_bias") else head
    if not getattr(plain, "bias", ()):
        fault = attempt(f"{name}: on random outputs it", fault_of_numbers, plain, space)
        require(fault is None, f"{name}: {fault}")


@dataclass(frozen=True)
class Trial:
    """A head under test; `outputs` are of network and head together, `[..., W + F]`."""

    name: str
    head: Any
    space: Box
    width: int

    @cached_property
    def bound(self) -> Any:
        return attempt(f"{self.name}: of({self.space})", self.head.of, self.space) if self._has("of") else self.head

    @cached_property
    def draws(self) -> int | None:
        """Uniforms in an axis of their own; None: one, without."""
        if not self._has("draws"):
            return None
        draws = attempt(f"{self.name}: draws({self.space})", self.head.draws, self.space)
        require(
            type(draws) is int and draws >= 1,
            f"{self.name}: draws({self.space}) is {draws!r}, which must be how many uniforms an action takes",
        )
        return draws

    @cached_property
    def free(self) -> int:
        """Parameters that nothing is fed to."""
        if not self._has("free"):
            return 0
        free = attempt(f"{self.name}: free({self.space})", self.head.free, self.space)
        held = isinstance(free, dict) and all(torch.tensor(values).isfinite().all() for values in free.values())
        require(held, f"{self.name}: free({self.space}) is {free!r}, which must be finite first values by name")
        return sum(len(values) for values in free.values())

    def outputs(self, *leading: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return (0.6 * torch.randn(*leading, self.width + self.free, generator=generator, dtype=torch.float64)).to(dtype)

    def uniform(self, outputs: Tensor, at: float | None = None) -> Tensor:
        """Random uniforms, or the same one everywhere."""
        shape = (*outputs.shape[:-1], *(() if self.draws is None else (self.draws,)))
        if at is not None:
            return torch.full(shape, at, dtype=outputs.dtype)
        return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(outputs.dtype)

    def check_shapes(self, outputs: Tensor) -> None:
        rows, dtype = outputs.shape[:-1], outputs.dtype
        action = outputs
        for at in (0.0, BELOW_ONE[dtype], None):
            uniform = self.uniform(outputs, at)
            with unchanged(f"{self.name}: sample", {"outputs": outputs, "uniform": uniform}):
                action = self._sample(outputs, uniform)
            require(
                same(self._sample(outputs, uniform), action),
                f"{self.name}: sample took other actions when called again with the same outputs and uniforms: all "
                "randomness must come from the given uniforms",
            )
        for what, function in self._functions(action, outputs):
            with unchanged(f"{self.name}: {what}", {"outputs": outputs, "action": action}):
                result = attempt(f"{self.name}: {what}", function, outputs)
            require(
                isinstance(result, Tensor) and result.shape == rows and result.dtype == dtype,
                f"{self.name}: {what} returned {described(result)} for outputs {list(outputs.shape)} of {dtype}: "
                f"return one number of that dtype for each row, shape {list(rows)} (summed over an action's numbers)",
            )

    def check_rows_apart(self, outputs: Tensor) -> None:
        uniform = self.uniform(outputs)
        action = self._sample(outputs, uniform)
        require_rows_apart(f"{self.name}: sample", self.bound.sample, outputs, uniform)
        require_rows_apart(f"{self.name}: log_prob", self.bound.log_prob, outputs, action)
        require_rows_apart(f"{self.name}: entropy", self.bound.entropy, outputs)

    def check_slope(self, outputs: Tensor) -> None:
        action = self._sample(outputs, self.uniform(outputs))
        fed = outputs.clone().requires_grad_()
        log_prob = self.bound.log_prob(fed, action)
        require(
            log_prob.requires_grad,
            f"{self.name}: log_prob has no gradient in the outputs, so nothing can be learnt: do not detach it",
        )
        (score,) = torch.autograd.grad(log_prob.sum(), fed)
        for output in range(outputs.shape[-1]):
            step = torch.zeros(outputs.shape[-1], dtype=outputs.dtype)
            step[output] = SLOPE
            ahead, behind = (self.bound.log_prob(outputs + sign * step, action) for sign in (1, -1))
            slope = (ahead - behind) / (2 * SLOPE)
            wrong = differing(score[..., output], slope, 1e-6)
            if wrong.any():
                (row,) = first(wrong)
                raise AssertionError(
                    f"{self.name}: the gradient of log_prob is not its slope: for outputs {in_numbers(outputs[row])} "
                    f"autograd gives {score[row, output]:.6g} for output {output}, a finite difference {slope[row]:.6g}"
                    "; compute log_prob from the outputs without detach, rounding or a gradient of its own"
                )

    def _functions(self, action: Tensor, outputs: Tensor) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
        yield "log_prob", lambda z: self.bound.log_prob(z, action)
        yield "entropy", self.bound.entropy
        if hasattr(self.bound, "kl"):
            yield "kl", lambda z: self.bound.kl(outputs.flip(0), z)

    def _sample(self, outputs: Tensor, uniform: Tensor) -> Tensor:
        action = attempt(f"{self.name}: sample", self.bound.sample, outputs, uniform)
        shape = (*outputs.shape[:-1], self.space.size)
        require(
            isinstance(action, Tensor) and action.shape == shape and action.dtype == outputs.dtype,
            f"{self.name}: sample returned {described(action)} for outputs {list(outputs.shape)} of {outputs.dtype}: "
            f"return {self.space.size} numbers of that dtype for each, shape {list(shape)}",
        )
        wrong = ~action.isfinite()
        if wrong.any():
            drawn = in_numbers(uniform[first(wrong)[:-1]].flatten())
            raise AssertionError(
                f"{self.name}: sample is {action[first(wrong)]} for uniforms {drawn}: actions are finite for "
                "every uniform in [0, 1), however near 0 or 1"
            )
        return action

    def _has(self, method: str) -> bool:
        return hasattr(self.head, method)
