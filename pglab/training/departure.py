"""The distance of policies from the one that played a batch, step by step on that batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.envs.spaces import Discrete, Space
from pglab.models.model import Policy
from pglab.training.episodes import Episodes


@dataclass(frozen=True)
class Departure:
    """Distance of a policy π from π_old, which played the batch, with r_t = π(a_t|s_t) / π_old(a_t|s_t): `[R]` each.

    Attributes:
        kl: mean of KL(π_old(·|s_t) ‖ π(·|s_t)) in nats; NaN where an action is a Box.
        approx_kl: its estimate from the actions played, the mean of (r_t - 1) - log r_t (Schulman 2020,
            "Approximating KL divergence").
        ratio_mean, ratio_max: mean and largest r_t.
        clip_fraction: share of the steps with |r_t - 1| above the clip range.
    """

    kl: np.ndarray
    approx_kl: np.ndarray
    ratio_mean: np.ndarray
    ratio_max: np.ndarray
    clip_fraction: np.ndarray


def departures(
    policy: Policy,
    space: Space,
    before: Tensor,
    after: Sequence[Tensor],
    episodes: Episodes,
    clip: np.ndarray | float = np.nan,
) -> list[Departure]:
    """The departure of each of several policies of every run; NaN for a run without a step.

    All of it is NaN for a head that is wrong on purpose, whose `log_prob` is no log-probability.

    Args:
        before: flat parameters of the policies that played, `[R, P]`.
        after: of the others, `[R, P]` each.
        episodes: the batches, S steps.
        clip: the clip range of each run, `[R]`; NaN where there is none.
    """
    if isinstance(space, Discrete) and not is_distribution(policy.head, space):
        unknown = np.full(len(before), np.nan)
        return [Departure(*[unknown] * 5) for _ in after]
    counted, has_kl = isinstance(space, Discrete), hasattr(policy.head, "kl")
    divergence, log_ratio = (torch.zeros(len(after), len(episodes.reward), device=before.device) for _ in range(2))
    with torch.no_grad():
        for rows, index in episodes.blocks():
            obs, action = episodes.obs[index], episodes.action[index]
            played, *others = (
                policy.model(policy.model.layout.unflatten(flat[rows]), obs) for flat in (before, *after)
            )
            old = _log_probs(policy, played, space.size) if counted else policy.head.log_prob(played, action)
            for number, outputs in enumerate(others):
                if counted:
                    new = _log_probs(policy, outputs, space.size)
                    divergence[number, index] = (old.exp() * (old - new)).sum(0)
                    log_ratio[number, index] = (new - old).gather(0, action[None])[0]
                else:
                    divergence[number, index] = policy.head.kl(played, outputs) if has_kl else np.nan
                    log_ratio[number, index] = policy.head.log_prob(outputs, action) - old
    run, clip = np.repeat(episodes.run, episodes.length), np.broadcast_to(clip, len(before))
    per_step = (x[:, :-1].double().cpu().numpy() for x in (divergence, log_ratio))
    return [_summed_up(run, kl, log_r, clip) for kl, log_r in zip(*per_step, strict=True)]


def _summed_up(run: np.ndarray, kl: np.ndarray, log_ratio: np.ndarray, clip: np.ndarray) -> Departure:
    """From numbers of each step, `[S]`, to those of each run."""
    steps = np.bincount(run, minlength=len(clip))
    moved = np.expm1(log_ratio)  # r - 1

    def mean(of_steps: np.ndarray) -> np.ndarray:
        return np.bincount(run, weights=of_steps, minlength=len(clip)) / steps

    largest = np.full(len(clip), -np.inf)
    np.maximum.at(largest, run, moved + 1)
    return Departure(
        kl=mean(kl),
        approx_kl=mean(moved - log_ratio),
        ratio_mean=mean(moved) + 1,
        ratio_max=np.where(steps > 0, largest, np.nan),
        clip_fraction=np.where(np.isnan(clip), np.nan, mean(np.abs(moved) > clip[run])),
    )


@dataclass
class Trail:
    """The policies as each epoch of an update left them.

    Attributes:
        parameters: flat, as they are now, `[K, P]`.
        made: epochs of each run so far, `[K]`.
        after: copies of the parameters, of each epoch; rows that did not make it are of no account.
    """

    parameters: Tensor
    made: np.ndarray
    after: list[Tensor] = field(default_factory=list)

    @classmethod
    def begin(cls, parameters: Tensor) -> "Trail":
        return cls(parameters, np.zeros(len(parameters), dtype=np.int64))

    def note(self, rows: np.ndarray) -> None:
        """Takes down that these runs, which have made equally many so far, have made another epoch."""
        if not len(rows):
            return
        number = int(self.made[rows[0]])
        if number == len(self.after):
            self.after.append(self.parameters.clone())
        at = torch.from_numpy(rows).to(self.parameters.device)
        self.after[number][at] = self.parameters[at]
        self.made[rows] += 1


def is_distribution(head: Any, space: Space) -> bool:
    """Tells whether exp(log_prob) of a head sums to 1; one that is wrong on purpose has no KL and no exact J."""
    logits = torch.linspace(-2.0, 2.0, 32 * head.width(space)).reshape(32, -1)
    chosen = torch.arange(space.size)[:, None].expand(-1, 32)
    total = torch.stack([head.log_prob(logits, action) for action in chosen]).exp().sum(0)
    return bool(torch.allclose(total, torch.ones(32), atol=1e-4))


def _log_probs(policy: Policy, logits: Tensor, actions: int) -> Tensor:
    """log π of every action, `[A, b, n]`."""
    shape, device = logits.shape[:-1], logits.device
    return torch.stack([policy.head.log_prob(logits, torch.full(shape, a, device=device)) for a in range(actions)])
