"""Rows of results: what an update of some runs showed."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from pglab.training.episodes import Episodes
from pglab.training.gradient import Gradient
from pglab.training.runs import Runs


@dataclass(frozen=True)
class Measures:
    """One update of some runs: `[R]` each, a row of the results a run.

    `seed`, `update`, `env_steps` and `episodes` count: the seed, the updates, steps and episodes of all batches so far
    (steps also those of greedy episodes beside them). The others are of this update: mean and deviation of the
    undiscounted return and mean length over the batch's episodes (those that ended in it), the surrogate's value, the
    policy's mean entropy in nats, the norm of the gradient before clipping. `noted` has by name what the arm's own
    rules measured (see `StepRule`), NaN where they did not.
    """

    seed: np.ndarray
    update: np.ndarray
    env_steps: np.ndarray
    episodes: np.ndarray
    return_mean: np.ndarray
    return_std: np.ndarray
    length_mean: np.ndarray
    loss: np.ndarray
    entropy: np.ndarray
    grad_norm: np.ndarray
    diverged: np.ndarray
    noted: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)

    def of(self, rows: np.ndarray, noted: Container[str] = ()) -> Self:
        """The same of some of the runs, with those columns of `noted` that are named."""
        own = {name: column[rows] for name, column in vars(self).items() if name != "noted"}
        return type(self)(**own, noted={name: self.noted[name][rows] for name in self.noted if name in noted})

    def columns(self) -> dict[str, np.ndarray]:
        """Every column by name."""
        return {name: column for name, column in vars(self).items() if name != "noted"} | dict(self.noted)


def measure(runs: Runs, played: Episodes, estimate: Gradient, noted: Mapping[str, np.ndarray]) -> Measures:
    """The measures of an update that was just counted, with a row for each run of the table; NaN without a batch."""
    k, ended = len(runs.seed), played.ended
    returns, run = played.returns()[ended], played.run[ended]
    count = np.bincount(run, minlength=k)

    def mean(of_episodes: np.ndarray) -> np.ndarray:
        total = np.bincount(run, weights=of_episodes, minlength=k)
        return np.divide(total, count, out=np.full(k, np.nan), where=count > 0)

    return_mean = mean(returns)
    return Measures(
        seed=runs.seed,
        update=runs.update.copy(),
        env_steps=runs.env_steps.copy(),
        episodes=runs.episodes.copy(),
        return_mean=return_mean,
        return_std=np.sqrt(mean((returns - return_mean[run]) ** 2)),
        length_mean=runs.length.copy(),
        loss=estimate.loss.cpu().numpy(),
        entropy=estimate.entropy.cpu().numpy(),
        grad_norm=estimate.gradient.norm(dim=-1).cpu().numpy(),
        diverged=runs.diverged.copy(),
        noted=noted,
    )
