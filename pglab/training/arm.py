"""An arm: a configuration without its seed, and what each of its updates shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.losses import Estimator
from pglab.algorithms.weightings import declared_bias
from pglab.models.optimizers import MakeOptimizer
from pglab.models.parameters import Init


@dataclass(frozen=True)
class BatchSize:
    """When a batch is complete: at least `steps` steps, or exactly `episodes` episodes."""

    steps: int | None = None
    episodes: int | None = None

    def __post_init__(self) -> None:
        sizes = [size for size in (self.steps, self.episodes) if size is not None]
        if len(sizes) != 1 or sizes[0] < 1:
            raise ValueError(f"a batch needs either steps or episodes, at least 1; got {self}")

    @property
    def bias(self) -> tuple[str, ...]:
        """Why a mean over the batch's episodes is not unbiased."""
        return () if self.steps is None else ("the batch ends by its steps, so its number of episodes is random",)


@dataclass(frozen=True)
class Arm:
    """A configuration without its seed, as components, and the seeds to train it on."""

    weighting: Callable[[Batch], Tensor]
    init: Init
    optimizer: MakeOptimizer
    estimator: Estimator
    batch: BatchSize
    gamma: float
    updates: int
    seeds: list[int]

    @property
    def baseline(self) -> Any:
        """The baseline that the weighting uses, if it uses one."""
        return getattr(self.weighting, "baseline", None)

    @property
    def bias(self) -> tuple[str, ...]:
        """Every declared reason why the mean of its gradient estimate is not ∇J; empty: it is."""
        return declared_bias(self.weighting) + self.estimator.bias + self.batch.bias


@dataclass(frozen=True)
class Measures:
    """What one update of some runs of an arm showed: `[R]` each, a row of the results a run.

    `seed`, `update`, `env_steps` and `episodes` count: the seed, the updates, steps and episodes
    of all batches so far. The others are of this update: mean and deviation of the undiscounted
    return and mean length over the batch's episodes, the surrogate's value, the policy's mean
    entropy in nats, the norm of the gradient before clipping.
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
