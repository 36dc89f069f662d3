"""The contract of a policy head: from logits `[..., W]` to a distribution over actions."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pglab.envs.spaces import Box, Space, as_space
from pglab.exact.sampling import sampled_distribution
from pglab.testing.findings import (
    BELOW_ONE,
    PRECISION,
    SLOPE,
    attempt,
    described,
    differing,
    first,
    in_numbers,
    name_of,
    require,
    require_rows_apart,
    same,
    unchanged,
)
from pglab.testing.heads_of_numbers import check_numbers

EXTREMES = (50.0, 500.0)


def check_head(head: Any, actions: Space | int = 2) -> None:
    """Checks that a head keeps its contract (see `pglab.algorithms.heads`).

    In single and double precision, for any leading axes, each row by itself. Where actions are counted: `width` is a
    positive whole number; Σ_a exp log_prob = 1; Σ_a π ∇log π = 0, where ∇ is really the slope of log_prob;
    `entropy` is -Σ_a π log π in nats; with logits of ±50 and ±500 all of these and their gradients
    are finite. `sample` is a function of logits and uniforms, returns whole numbers from 0 to
    actions - 1, and takes each action on a set of uniforms as long as its probability (see
    `pglab.exact.sampling`). Where they are numbers, see `pglab.testing.heads_of_numbers`.

    Args:
        head: the component.
        actions: the space to choose from, Discrete(n), n, or Box(n, low, high).

    Raises:
        AssertionError: what broke, where, what was expected and what to do.
    """
    name, space = name_of(head), as_space(actions)
    width = attempt(f"{name}: width({space})", head.width, space)
    require(
        type(width) is int and width >= 1,
        f"{name}: width({space}) is {width!r}, which must be the number of a network's outputs, at least 1 (the "
        "number of actions is the space's `size`)",
    )
    if isinstance(space, Box):
        check_numbers(name, head, space, width)
        return
    trial = Trial(name, head, space.size, width)
    for dtype in PRECISION:
        for leading in ((), (1,), (7,), (2, 3)):
            trial.check_shapes(trial.logits(*leading, dtype=dtype))
        trial.check_rows_apart(trial.logits(5, dtype=dtype))
        trial.check_normalised(trial.logits(20, dtype=dtype))
        trial.check_entropy(trial.logits(20, dtype=dtype))
        trial.check_extremes(dtype)
    trial.check_score(trial.logits(5))
    trial.check_frequencies(trial.logits(5))


@dataclass(frozen=True)
class Trial:
    """A head under test; `logits` below are `[..., W]`."""

    name: str
    head: Any
    actions: int
    width: int

    def logits(self, *leading: int, dtype: torch.dtype = torch.float64) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(*leading, self.width, generator=generator, dtype=torch.float64).to(dtype)

    def log_probs(self, logits: Tensor) -> Tensor:
        """log π(a|s) of every action, `[A, ...]`."""
        each = [torch.full(logits.shape[:-1], action) for action in range(self.actions)]
        return torch.stack([attempt(f"{self.name}: log_prob", self.head.log_prob, logits, a) for a in each])

    def sample(self, logits: Tensor, uniform: Tensor) -> Tensor:
        action = attempt(f"{self.name}: sample", self.head.sample, logits, uniform)
        require(
            isinstance(action, Tensor) and action.shape == uniform.shape and _is_integer(action),
            f"{self.name}: sample returned {described(action)} for uniforms of shape {list(uniform.shape)}: return one "
            "integer action for each",
        )
        wrong = (action < 0) | (action >= self.actions)
        if wrong.any():
            raise AssertionError(
                f"{self.name}: sample took action {action[first(wrong)]} of {self.actions} for "
                f"uniform {uniform[first(wrong)]:.9g}: actions are 0 to {self.actions - 1}, for every "
                "uniform in [0, 1), however near 1",
            )
        return action

    def check_shapes(self, logits: Tensor) -> None:
        shape, dtype = logits.shape[:-1], logits.dtype
        uniform = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
        for at in (uniform, torch.zeros_like(uniform), torch.full_like(uniform, BELOW_ONE[dtype])):
            with unchanged(f"{self.name}: sample", {"logits": logits, "uniform": at}):
                action = self.sample(logits, at)
            require(
                same(self.sample(logits, at), action),
                f"{self.name}: sample took other actions when called again with the same logits and uniforms: all "
                "randomness must come from the given uniforms",
            )
        with unchanged(f"{self.name}: log_prob or entropy", {"logits": logits, "action": action}):
            log_prob = attempt(f"{self.name}: log_prob", self.head.log_prob, logits, action)
            entropy = attempt(f"{self.name}: entropy", self.head.entropy, logits)
        for what, result in (("log_prob", log_prob), ("entropy", entropy)):
            require(
                isinstance(result, Tensor) and result.shape == shape and result.dtype == dtype,
                f"{self.name}: {what} returned {described(result)} for logits {list(logits.shape)} of {dtype}: return "
                f"one number of that dtype for each row, shape {list(shape)} (the logits are the last axis, dim=-1)",
            )

    def check_rows_apart(self, logits: Tensor) -> None:
        rows = len(logits)
        action = torch.arange(rows) % self.actions
        uniform = torch.linspace(0.05, 0.95, rows, dtype=logits.dtype)
        for what, given in (("sample", [uniform]), ("log_prob", [action]), ("entropy", [])):
            require_rows_apart(f"{self.name}: {what}", getattr(self.head, what), logits, *given)

    def check_normalised(self, logits: Tensor) -> None:
        log_pi = self.log_probs(logits)
        total = log_pi.exp().sum(0)
        wrong = differing(total, torch.ones_like(total), PRECISION[logits.dtype])
        if not wrong.any():
            return
        row = first(wrong)[0]
        blind = self.actions > 1 and same(log_pi, log_pi[:1].expand_as(log_pi))
        cause = (
            "log_prob ignores the action, so its score ∇log_prob is the same whatever was done; "
            if blind
            else "log_prob is not the logarithm of a distribution; "
        )
        raise AssertionError(
            f"{self.name}: {cause}Σ_a exp log_prob = {total[row]:.6g} instead of 1 for logits {in_numbers(logits[row])}"
            ": return log π(a|s) of the action given (as log_softmax does)"
        )

    def check_score(self, logits: Tensor) -> None:
        pi = self.log_probs(logits).exp()
        scores = torch.stack([self._gradient(logits, action) for action in range(self.actions)])  # [A, n, W]
        mean = (pi[..., None] * scores).sum(0)
        wrong = differing(mean, torch.zeros_like(mean), 1e-9)
        if wrong.any():
            raise AssertionError(
                f"{self.name}: the expected score Σ_a π ∇log π is {in_numbers(mean[first(wrong)[0]])} instead of 0",
            )
        for output in range(self.width):
            step = torch.zeros(self.width, dtype=logits.dtype)
            step[output] = SLOPE
            slope = (self.log_probs(logits + step) - self.log_probs(logits - step)) / (2 * SLOPE)
            wrong = differing(scores[..., output], slope, 1e-6)
            if wrong.any():
                action, row = first(wrong)
                raise AssertionError(
                    f"{self.name}: the gradient of log_prob is not its slope: for action {action} and logits "
                    f"{in_numbers(logits[row])} autograd gives {scores[action, row, output]:.6g} for output {output}, "
                    f"a finite difference {slope[action, row]:.6g}; compute log_prob from the logits without detach, "
                    "rounding or a gradient of its own",
                )

    def check_frequencies(self, logits: Tensor) -> None:
        pi = self.log_probs(logits).exp()
        length = torch.from_numpy(sampled_distribution(self.head, logits, self.actions)).T
        wrong = (length - pi).abs() > 1e-7
        if wrong.any():
            action, row = first(wrong)
            raise AssertionError(
                f"{self.name}: sample and log_prob disagree: for logits {in_numbers(logits[row])} sample takes action "
                f"{action} with probability {length[action, row]:.6g}, and exp log_prob says {pi[action, row]:.6g}; "
                "sample by the same π, and give log_prob of the action asked for",
            )

    def check_entropy(self, logits: Tensor) -> None:
        log_pi = self.log_probs(logits)
        expected = -(log_pi.exp() * log_pi).sum(0)
        entropy = self.head.entropy(logits)
        wrong = differing(entropy, expected, PRECISION[logits.dtype])
        if wrong.any():
            row = first(wrong)[0]
            raise AssertionError(
                f"{self.name}: entropy is {entropy[row]:.6g} instead of -Σ_a π log π = {expected[row]:.6g} nats for "
                f"logits {in_numbers(logits[row])} (natural logarithm, summed over all actions)",
            )

    def check_extremes(self, dtype: torch.dtype) -> None:
        together = torch.ones(1, self.width, dtype=dtype)
        alone = 2 * torch.eye(self.width, dtype=dtype) - 1
        signs = torch.cat((together, -together, alone, -alone))
        logits = torch.cat([size * signs for size in EXTREMES])
        for action in range(self.actions):
            self._require_finite("log_prob", self.log_probs(logits)[action], logits)
            self._require_finite(f"the gradient of log_prob (action {action})", self._gradient(logits, action), logits)
        z = logits.clone().requires_grad_()
        entropy = self.head.entropy(z)
        self._require_finite("entropy", entropy, logits)
        if entropy.requires_grad:
            self._require_finite("the gradient of entropy", torch.autograd.grad(entropy.sum(), z)[0], logits)
        for u in (0.0, 0.5, BELOW_ONE[dtype]):
            self.sample(logits, torch.full((len(logits),), u, dtype=dtype))

    def _require_finite(self, what: str, result: Tensor, logits: Tensor) -> None:
        wrong = ~result.isfinite()
        if wrong.any():
            raise AssertionError(
                f"{self.name}: {what} is not finite for logits "
                f"{in_numbers(logits[first(wrong)[0]])} of {logits.dtype}: compute logarithms of "
                "probabilities directly (log_softmax, logsigmoid), never the logarithm of a rounded probability",
            )

    def _gradient(self, logits: Tensor, action: int) -> Tensor:
        """∇ log π(action|s) with respect to the logits `[n, W]`, row by row."""
        z = logits.clone().requires_grad_()
        log_prob = self.head.log_prob(z, torch.full((len(z),), action))
        require(
            log_prob.requires_grad,
            f"{self.name}: log_prob has no gradient in the logits, so nothing can be learnt: do not detach it",
        )
        return torch.autograd.grad(log_prob.sum(), z)[0]


def _is_integer(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
