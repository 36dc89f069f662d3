"""An arm: a configuration without its seed, as components."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import SURROGATE, Objective
from pglab.algorithms.packed import PackedEpisodes
from pglab.algorithms.returns import discount_powers
from pglab.algorithms.rewards import RAW
from pglab.algorithms.weightings import declared_bias, discounted, discounted_from_start
from pglab.models.optimizers import MakeOptimizer
from pglab.models.parameters import Init
from pglab.training.prompts import PromptGroups
from pglab.training.schedule import CONSTANT, Schedule
from pglab.training.update import FIRST_ORDER, ONE_STEP, StepRule, UpdateRule


@dataclass(frozen=True)
class BatchSize:
    """The size at which a batch is complete: at least `steps` steps, or exactly `episodes` episodes."""

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
    """A configuration without its seed, as components, and the seeds to train it on.

    Raises:
        ValueError: the weighting has another γ than the arm.
    """

    weighting: Callable[[Batch], Tensor]
    init: Init
    optimizer: MakeOptimizer
    estimator: Estimator
    batch: BatchSize | PromptGroups
    gamma: float
    updates: int
    seeds: list[int]
    objective: Objective = SURROGATE
    rule: UpdateRule = ONE_STEP
    step_rule: StepRule = FIRST_ORDER
    schedule: Schedule = CONSTANT
    rewards: Any = RAW

    def __post_init__(self) -> None:
        own = getattr(self.weighting, "gamma", self.gamma)
        if own != self.gamma:
            raise ValueError(
                f"gamma={self.gamma} and weighting.gamma={own} differ, but there is one discount: "
                f"set gamma={own}, and leave weighting.gamma as it is (${{gamma}})"
            )

    @property
    def baseline(self) -> Any:
        """The baseline that the weighting uses, if it uses one."""
        return getattr(self.weighting, "baseline", None)

    @property
    def has_critic(self) -> bool:
        """Tells whether the baseline learns a value function (see `pglab.algorithms.critics`)."""
        return hasattr(self.baseline, "critic")

    @property
    def bias(self) -> tuple[str, ...]:
        """Every declared reason why the mean of its gradient estimate is not ∇J; empty: it is."""
        takes_factor = self.estimator.discount_states or discounted_from_start(self.weighting)
        dropped = () if takes_factor or self.gamma == 1 else ("the factor γ^t is dropped",)
        estimator = self.estimator.bias_where(fixed_steps=getattr(self.batch, "fixed_steps", False))
        before, after = (self.weighting, self.objective), (self.rule, self.batch, self.rewards)
        first, second, *others = (declared_bias(part) for part in (*before, *after))
        return first + dropped + second + estimator + tuple(reason for reasons in others for reason in reasons)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what its rules measure in an update."""
        return tuple(name for rule in (self.rule, self.step_rule) for name in getattr(rule, "columns", ()))

    @property
    def learns_together(self) -> bool:
        """Tells whether its critic learns in the policy's own minibatches."""
        return self.has_critic and getattr(self.baseline, "fit", "after") == "with_policy"

    def psi(self, batch: Batch) -> Tensor:
        """Ψ of a batch, `[..., E, T]`, times γ^t where the estimator asks for it.

        Raises:
            ValueError: the weighting returned another shape.
        """
        return self.discounted(self.weigh(batch))

    def weigh(self, batch: Batch) -> Tensor:
        """The weights Ψ that the weighting gives a batch, `[..., E, T]`.

        Raises:
            ValueError: the weighting returned another shape.
        """
        psi = self.weighting(batch)
        if psi.shape != batch.reward.shape:
            raise ValueError(
                f"{type(self.weighting).__name__} returned weights of shape {list(psi.shape)}; "
                f"one for every reward is needed, {list(batch.reward.shape)}"
            )
        return psi

    def weigh_packed(self, episodes: PackedEpisodes) -> Tensor:
        """Ψ of episodes that lie end to end, `[S]`, by a weighting that has `packed`; times γ^t where that is asked."""
        psi = self.weighting.packed(episodes)  # type: ignore[attr-defined]
        if not self.estimator.discount_states or discounted_from_start(self.weighting):
            return psi
        powers = discount_powers(int(episodes.length.max()), self.gamma, psi)
        return psi * powers[episodes.since]

    def discounted(self, psi: Tensor) -> Tensor:
        """The same, times γ^t where the estimator asks for it."""
        return discounted(self.weighting, psi, self.gamma) if self.estimator.discount_states else psi
