"""A head whose actions are numbers: what its `sample` plays, held against `log_prob`, `entropy` and `kl`.

`sample` is a function a(u) of uniforms, one for each number, so the density of what it plays is 1 / |det ∂a/∂u|.
That must be exp(log_prob), with `a` as the world is given it; where the head cuts an action to a bound, so that many
draws become one action, as it was drawn. Means over u are by quadrature.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from pglab.envs.spaces import Box

ROWS = 8  # of random outputs
POINTS = 64  # of random uniforms beside each
NODES = 32  # of Gauss and Hermite, in each uniform
MOST = 2  # numbers that means are taken over together
STEP = 1e-4  # of z in u = Φ(z), for central differences
CORNER = 1e-2  # a relative change of slope within a step: a cut begins there
AGREES = 1e-4  # in log density
AGREES_MEAN = 1e-3  # of means by quadrature, nats


def fault_of_numbers(head: Any, space: Box) -> str | None:
    """Says in one sentence what is wrong between the parts of a head; None: nothing.

    Args:
        head: as it is configured, not yet bound to a space.
        space: of the actions.

    A head that takes other than one uniform a number is held against means only.
    """
    whole = _Bound(head, space)
    few = whole if space.size <= MOST else _Bound(head, _part(space, slice(MOST)))
    return _wrong_density(head, space, whole) or few.wrong_score() or few.wrong_entropy() or few.wrong_kl()


def _wrong_density(head: Any, space: Box, whole: "_Bound") -> str | None:
    if whole.draws != space.size or (off := whole.density_off()) is None:
        return None
    if space.size > 1:
        alone = (_Bound(head, _part(space, slice(i, i + 1))).density_off() for i in range(space.size))
        if not any(alone):
            return (
                f"exp(log_prob) is the density of one number of an action, and not of {space.size} together: "
                "one has taken what belongs to another, as σ where each has its own"
            )
    return off


def _part(space: Box, numbers: slice) -> Box:
    low, high = space.bounds
    return Box(len(low[numbers]), low[numbers], high[numbers])


@dataclass(frozen=True)
class _Bound:
    """A head on a space, with random outputs to try it."""

    head: Any
    space: Box

    @cached_property
    def bound(self) -> Any:
        return self.head.of(self.space) if hasattr(self.head, "of") else self.head

    @property
    def draws(self) -> int:
        return self.head.draws(self.space) if hasattr(self.head, "draws") else 1

    def outputs(self, seed: int = 0) -> Tensor:
        """Of network and head together, `[ROWS, W]`."""
        free = self.head.free(self.space) if hasattr(self.head, "free") else {}
        width = self.head.width(self.space) + sum(len(values) for values in free.values())
        generator = torch.Generator().manual_seed(seed)
        return 0.6 * torch.randn(ROWS, width, generator=generator, dtype=torch.float64)

    def density_off(self) -> str | None:
        """Says where exp(log_prob) is not the density of what is sampled; None: nowhere that was tried."""
        generator = torch.Generator().manual_seed(1)
        outputs = self.outputs().repeat_interleave(POINTS, 0)
        z = torch.randn(len(outputs), self.draws, generator=generator, dtype=torch.float64)
        given, smooth = self._slopes(outputs, z, taken=True)
        drawn, _ = self._slopes(outputs, z, taken=False)
        cut = (given == 0).all(-1)  # numbers that the world is given as a bound, whatever u is
        log_slope = torch.linalg.slogdet(torch.where(cut[..., None], drawn, given))[1]
        log_density = -(log_slope - _log_normal(z).sum(-1))  # from ∂a/∂z to ∂a/∂u
        action = self._sample(outputs, z)
        claimed = self.bound.log_prob(outputs, action)
        off = (claimed - log_density).abs()
        wrong = smooth & ~(off < AGREES)
        if not wrong.any():
            return None
        inside = wrong & ~cut.any(-1)
        if not inside.any():
            return (
                "of an action that is cut to its bounds, log_prob scores the bound, as if it had been drawn: the "
                "density there is not the probability of being cut"
            )
        log_drawn = -(torch.linalg.slogdet(drawn)[1] - _log_normal(z).sum(-1))
        if bool(((claimed - log_drawn).abs() < AGREES)[smooth].all()):
            return (
                "log_prob is that of the head's own action, before it is transformed into the one that the world is "
                "given: the logarithm of the slope between them (its Jacobian) is missing"
            )
        place = int(torch.where(inside, off, -math.inf).argmax())
        return (
            f"it samples around an action with density {log_density[place].exp():.3g} where exp(log_prob) says "
            f"{claimed[place].exp():.3g}: the score belongs to another action or another policy"
        )

    def wrong_score(self) -> str | None:
        """Says where E[∇log π] is not 0."""
        outputs, uniform, weight = self._nodes()
        action = self._action(outputs, uniform)
        fed = outputs.clone().requires_grad_()
        (score,) = torch.autograd.grad(self.bound.log_prob(fed, action).sum(), fed)
        mean = torch.einsum("rqw,q->rw", score, weight)
        if mean.abs().max() < AGREES_MEAN:
            return None
        return f"E[∇log π] is not 0 but {_largest(mean):.3g}: the score belongs to another action or another policy"

    def wrong_entropy(self) -> str | None:
        """Says where `entropy` is not -E log π."""
        if not hasattr(self.bound, "entropy"):
            return None
        outputs, uniform, weight = self._nodes()
        log_prob = self.bound.log_prob(outputs, self._action(outputs, uniform))
        claimed, found = self.bound.entropy(outputs[:, 0]), -log_prob @ weight
        if (far := (claimed - found).abs()).max() < AGREES_MEAN:
            return None
        row = int(far.argmax())
        return (
            f"entropy says {claimed[row]:.4g} nats where -E[log_prob] is {found[row]:.4g}: it is that of another "
            "distribution, such as that of the action before it is transformed"
        )

    def wrong_kl(self) -> str | None:
        """Says where `kl` is not E[log π_old - log π]."""
        if not hasattr(self.bound, "kl"):
            return None
        old, uniform, weight = self._nodes()
        new = self.outputs(seed=2)[:, None].expand_as(old)
        action = self._action(old, uniform)
        found = (self.bound.log_prob(old, action) - self.bound.log_prob(new, action)) @ weight
        claimed = self.bound.kl(old[:, 0], new[:, 0])
        if (far := (claimed - found).abs() / found.abs().clamp(min=1.0)).max() < AGREES_MEAN:
            return None
        row = int(far.argmax())
        return f"kl says {claimed[row]:.4g} nats where E[log π_old - log π] is {found[row]:.4g}"

    def _nodes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs `[ROWS, q, W]`, uniforms `[ROWS, q, draws]` and the weights of q nodes."""
        if self.draws <= MOST:
            node, weight = np.polynomial.hermite_e.hermegauss(NODES)
            each = np.stack(np.meshgrid(*[node] * self.draws, indexing="ij"), -1).reshape(-1, self.draws)
            weights = np.stack(np.meshgrid(*[weight] * self.draws, indexing="ij"), -1).reshape(-1, self.draws).prod(1)
            uniform = torch.from_numpy(_uniform(each))
        else:
            uniform = torch.quasirandom.SobolEngine(self.draws, scramble=True, seed=0).draw(2**14, dtype=torch.float64)
            weights = np.ones(len(uniform))
        outputs = self.outputs()[:, None].expand(-1, len(uniform), -1)
        return outputs, uniform.expand(ROWS, -1, -1), torch.from_numpy(weights / weights.sum())

    def _slopes(self, outputs: Tensor, z: Tensor, taken: bool) -> tuple[Tensor, Tensor]:
        """∂a/∂z `[n, D, D]` of actions as the world is given them or as they are drawn, and where there is one."""
        here, ahead, behind = self._sample(outputs, z), [], []
        for number in range(z.shape[-1]):
            step = STEP * torch.eye(z.shape[-1], dtype=z.dtype)[number]
            ahead.append(self._sample(outputs, z + step))
            behind.append(self._sample(outputs, z - step))
        if taken and hasattr(self.bound, "taken"):
            here = self.bound.taken(here)
            ahead, behind = ([self.bound.taken(action) for action in side] for side in (ahead, behind))
        forward = torch.stack([(action - here) / STEP for action in ahead], -1)
        backward = torch.stack([(here - action) / STEP for action in behind], -1)
        change = (forward - backward).abs()
        smooth = (change <= CORNER * torch.maximum(forward.abs(), backward.abs())).all(-1).all(-1)
        return (forward + backward) / 2, smooth

    def _sample(self, outputs: Tensor, z: Tensor) -> Tensor:
        return self._action(outputs, torch.from_numpy(_uniform(z.numpy())))

    def _action(self, outputs: Tensor, uniform: Tensor) -> Tensor:
        given = uniform if hasattr(self.head, "draws") else uniform[..., 0]
        return self.bound.sample(outputs, given).double()


def _uniform(z: np.ndarray) -> np.ndarray:
    """u = Φ(z), below 1."""
    return np.minimum(ndtr(z), 1 - 2.0**-53)


def _log_normal(z: Tensor) -> Tensor:
    return -z.square() / 2 - 0.5 * math.log(2 * math.pi)


def _largest(numbers: Tensor) -> float:
    return float(numbers.flatten()[numbers.abs().argmax()])
