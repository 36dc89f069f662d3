"""The distance of a batch's gradient from its mean, as told by groups of its own episodes.

The estimate ĝ of a run is a sum over episodes, hence over groups of whole episodes: ĝ = Σ_m c_m.
The c_m are independent draws, and what they differ by says how noisy their sum is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.objectives import Objective, Seen, strength_of, uses_kl, uses_old_log_prob
from pglab.bits import step_blocks
from pglab.models.model import Policy
from pglab.training.episodes import Episodes
from pglab.training.gradient import Weights

MOST = 16  # groups of a run
BLOCK = 128  # steps computed together: a group has too few to fill larger blocks


@dataclass(frozen=True)
class Groups:
    """The batches of R runs cut into G groups: min(E, 16) of a run's E episodes, in order of start.

    Attributes:
        runs: R.
        run: each group's run, `[G]`, ascending.
        place: its place among the groups of its run, `[G]`, from 0.
        episodes, steps: how many it has, `[G]`.
        packed: the same episodes, each group as a run of its own.
    """

    runs: int
    run: np.ndarray
    place: np.ndarray
    episodes: np.ndarray
    steps: np.ndarray
    packed: Episodes

    @classmethod
    def of(cls, batches: Episodes, runs: int) -> "Groups":
        count = np.bincount(batches.run, minlength=runs)
        groups = np.minimum(count, MOST)
        first = np.cumsum(groups) - groups
        position = np.arange(len(batches.run)) - (np.cumsum(count) - count)[batches.run]
        group = first[batches.run] + position * groups[batches.run] // np.maximum(count, 1)[batches.run]
        run = np.repeat(np.arange(runs), groups)
        steps = np.bincount(group, weights=batches.length, minlength=len(run))
        sizes = np.bincount(group, minlength=len(run))
        return cls(runs, run, np.arange(len(run)) - first[run], sizes, steps, replace(batches, run=group))

    def gradients(
        self,
        policy: Policy,
        parameters: Tensor,
        psis: list[Tensor],
        weights: Weights,
        objectives: Sequence[tuple[Objective, np.ndarray]],
    ) -> list[np.ndarray]:
        """c_m, `[G, P]`, under each of several weights: each group's part of the estimate of ∇J.

        One forward pass serves all weights.

        Args:
            parameters: flat parameters of the policies that played, `[R, P]`.
            psis: Ψ of each packed step, its reduction included, `[S + 1]` each.
            weights: all others of the steps.
            objectives: each with the rows of its runs.
        """
        layout, packed, device = policy.model.layout, self.packed, parameters.device
        run = torch.from_numpy(self.run).to(device)
        has_bonus, each = bool(weights.entropy.any()), weights.each
        sums = [torch.zeros(len(run), parameters.shape[1], device=device) for _ in psis]
        for objective, rows in objectives:
            only = np.flatnonzero(np.isin(self.run, rows))
            for groups, index in step_blocks(packed.run, packed.length, device, BLOCK, only):
                mask = index < len(packed.reward) - 1
                leaves = layout.leaves(parameters[run[groups]])
                logits = policy.model(leaves, packed.obs[index])
                log_prob = policy.head.log_prob(logits, packed.action[index])
                old = log_prob.detach() if uses_old_log_prob(objective) else None
                kl = policy.head.kl(logits.detach(), logits) if uses_kl(objective) else None
                one = torch.ones(len(groups), 1, device=device)
                seen = Seen(log_prob, log_prob, old, kl, one, one * strength_of(objective), torch.zeros_like(log_prob))
                beside = torch.zeros_like(log_prob)  # of a step's loss, whatever its Ψ
                if has_bonus:
                    beside = beside - policy.head.entropy(logits) * weights.entropy[run[groups], None]
                if weights.anchor is not None:
                    beside = beside + weights.anchor.penalty(run[groups], index, log_prob)
                beside = beside if each is None else beside * each[index]
                for total, psi in zip(sums, psis, strict=True):
                    gain = -((objective(replace(seen, psi=psi[index])) + beside) * mask).sum()
                    total.index_add_(0, groups, layout.gradient(gain, leaves, retain_graph=psi is not psis[-1]))
        return [total.double().cpu().numpy() for total in sums]

    def sums(self, parts: np.ndarray) -> np.ndarray:
        """Σ_m c_m of each run, `[G, P]` to `[R, P]`; 0 where there is no episode."""
        total = np.zeros((self.runs, parts.shape[1]))
        present, first = np.unique(self.run, return_index=True)
        if len(present):
            total[present] = np.add.reduceat(parts, first, axis=0)
        return total

    def variance(self, parts: np.ndarray, by_steps: np.ndarray) -> np.ndarray:
        """Estimate of tr Var(ĝ) for each run, `[R]`; NaN for fewer than 2 episodes.

            V = E/(M-1) Σ_m ‖c_m - (w_m/W) ĝ‖² / n_m

        for M groups of n_m of the E episodes. With w_m = n_m it has the exact mean where the
        number of episodes is fixed and no weight depends on another episode. Where a number of
        *steps* ends the batch or divides the sum, E or the divisor goes with the episodes'
        lengths, and w_m counts steps: the residual of a ratio (Cochran 1977, section 6.3).

        Args:
            parts: c_m, `[G, P]`.
            by_steps: whether w counts steps, `[R]`.
        """
        weight = np.where(by_steps[self.run], self.steps, self.episodes)
        share = weight / np.bincount(self.run, weights=weight, minlength=self.runs)[self.run]
        residual = parts - share[:, None] * self.sums(parts)[self.run]
        squares = np.bincount(self.run, weights=(residual**2).sum(1) / self.episodes, minlength=self.runs)
        groups = np.bincount(self.run, minlength=self.runs)
        episodes = np.bincount(self.run, weights=self.episodes, minlength=self.runs)
        return np.where(groups > 1, squares * episodes / np.maximum(groups - 1, 1), np.nan)

    def halves(self, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Σ c_m over the first and the second half of each run's groups, `[R, P]` each."""
        groups = np.bincount(self.run, minlength=self.runs)[self.run]
        early = (self.place < groups // 2)[:, None]
        return self.sums(np.where(early, parts, 0.0)), self.sums(np.where(early, 0.0, parts))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a·b / (‖a‖ ‖b‖) of the rows, `[R, P]` to `[R]`; NaN where one is 0 or not finite."""
    lengths = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    known = (lengths > 0) & np.isfinite(lengths)
    return np.where(known, (a * b).sum(1) / np.where(known, lengths, 1.0), np.nan)
