"""One estimator at one parameter point of one problem: what it should be, what it is, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from pglab.envs.finite import FiniteMDP
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.moments import Moments
from pglab.exact.policy import policy_table, score_table
from pglab.exact.sampling import sampled_tables
from pglab.exact.values import visitation
from pglab.results.summary import mean_interval
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes
from pglab.verify.expected import Tables, expected
from pglab.verify.measure import Pipeline, drawn

Verdict = Literal["unbiased", "biased as declared", "wrong"]

FALSE_ALARM = 1e-3  # probability of calling an estimator wrong by chance, before a second sample must agree
RELATIVE_WIDTH = 0.05  # half the interval of the relative bias: precise enough
FIRST_BATCHES = 1000
ROUNDING = 1e-6  # of single precision, relative
ENOUGH = 100  # batches that touch a parameter, for its mean to be nearly normal


@dataclass(frozen=True)
class Effort:
    """How much to sample at each point.

    Attributes:
        batches: at most so many; fewer where the relative bias is known to ±5 % before.
        cosine_episodes: sizes of the batches whose cosine to ∇J is measured.
        cosine_batches: how many batches of each size.
    """

    batches: int
    cosine_episodes: Sequence[int]
    cosine_batches: int

    def __post_init__(self) -> None:
        for name, least in (("batches", 100), ("cosine_batches", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        if any(not isinstance(size, int) or size < 1 for size in self.cosine_episodes):
            raise ValueError(f"cosine_episodes={list(self.cosine_episodes)} must be whole numbers of at least 1")


@dataclass(frozen=True)
class Point:
    """What was found. Vectors are `[P]`; variances are those of one episode's share of a batch:
    the total variance of the estimate from n episodes, times n.

    Attributes:
        problem, seed: where; the seed draws the parameters as it does in training.
        episodes: in all batches that were measured.
        batches: how many these were.
        exact_gradient: ∇J.
        exact_mean: exact mean of the estimate; None where it is not known.
        mean, standard_error: of the measured estimates.
        z: largest |mean - ∇J| / standard error of any parameter (those that few batches touch are summed).
        z_of_mean: the same for the exact mean; None where it is not known.
        relative_bias, low, high: of the mean along ∇J, with its 95 % interval.
        cosine: between the mean and ∇J.
        exact_variance, variance: None where the exact one is not known.
        episodes_for_snr_1: episodes in a batch whose signal ‖∇J‖ equals its noise.
        verdict: at this point.
    """

    problem: str
    seed: int
    episodes: int
    batches: int
    exact_gradient: np.ndarray
    exact_mean: np.ndarray | None
    mean: np.ndarray
    standard_error: np.ndarray
    z: float
    z_of_mean: float | None
    relative_bias: float
    low: float
    high: float
    cosine: float
    exact_variance: float | None
    variance: float
    episodes_for_snr_1: float
    verdict: Verdict


@dataclass(frozen=True)
class Setting:
    """An estimator on a problem at the parameters of a seed, solved.

    Attributes:
        tables: π as it is played and the score that is used.
        gradient: ∇J of what is played, `[P]`.
        length: mean length of an episode.
        head_fault: what is wrong between the head's `sample` and `log_prob`, or None.
    """

    shapes: Shapes
    arm: Arm
    problem: str
    seed: int
    tables: Tables
    gradient: np.ndarray
    length: float
    head_fault: str | None


def solve(shapes: Shapes, arm: Arm, problem: str, mdp: FiniteMDP, seed: int, head_fault: str | None) -> Setting:
    """The exact side. ∇J of a faulty head is that of the policy that it samples.

    Raises:
        ValueError: there is none: the policy may never end, …
    """
    policy, named = shapes.policy(), drawn(shapes, arm, seed)
    score = score_table(mdp, policy, named)
    if head_fault is None:
        pi, true_score = policy_table(mdp, policy, named), score
    else:
        pi, true_score = sampled_tables(mdp, policy, named)
    gradient = gradient_by_theorem(mdp, pi, true_score, arm.gamma)
    length = float(visitation(mdp, pi, 1.0).sum())
    return Setting(shapes, arm, problem, seed, Tables(mdp, pi, score), gradient, length, head_fault)


def judge(setting: Setting, effort: Effort, points: int) -> tuple[Point, list[dict[str, object]]]:
    """Measures until it is precise enough, and compares.

    A mean that differs from what it should be is called wrong only if a second sample, of the
    same size and drawn afresh, differs too.

    Args:
        points: at how many points the estimator is judged, for the size of z that chance allows.

    Returns:
        The point, and a row for each batch size with the mean cosine to ∇J.
    """
    pipeline = Pipeline.begin(setting.shapes, setting.arm, setting.seed)
    exact, declared = expected(setting.arm, setting.tables, pipeline.state), bool(setting.arm.bias)
    sample = _Sample(setting, pipeline, effort.batches)
    should_be = (exact.mean if exact else None) if declared else setting.gradient
    wrong = False
    if should_be is not None:
        largest = stats.norm.isf(FALSE_ALARM / 2 / points / len(should_be))
        wrong = sample.z(should_be) > largest
        wrong = wrong and _Sample(setting, pipeline, effort.batches, first=len(sample.estimates)).z(should_be) > largest
    if exact and not declared:
        wrong |= bool(np.abs(exact.mean - setting.gradient).max() > ROUNDING * max(np.abs(setting.gradient).max(), 1.0))
    verdict: Verdict = "wrong" if wrong else "biased as declared" if declared else "unbiased"
    return _point(setting, sample, exact, verdict), _cosines(setting, pipeline, effort)


class _Sample:
    """Estimates `[R, P]`: as many as it takes to know the relative bias well, or all that are allowed."""

    def __init__(self, setting: Setting, pipeline: Pipeline, most: int, first: int = 0) -> None:
        self._gradient = setting.gradient
        batch = setting.arm.batch
        steps = batch.steps or setting.length * (batch.episodes or 1)
        count = min(FIRST_BATCHES, most)
        self.estimates = pipeline.estimates(first, count, steps)
        while len(self.estimates) < most and not self._is_precise():
            count = min(len(self.estimates), most - len(self.estimates))
            more = pipeline.estimates(first + len(self.estimates), count, steps)
            self.estimates = np.concatenate((self.estimates, more))
        self.mean, self.standard_error = self.estimates.mean(0), _standard_error(self.estimates)

    def relative_bias(self) -> tuple[float, float, float]:
        """Of the mean along ∇J, and the ends of its 95 % Student-t interval; NaN where ∇J = 0."""
        square = self._gradient @ self._gradient
        return mean_interval(self.estimates @ self._gradient / square - 1.0) if square else (np.nan, np.nan, np.nan)

    def z(self, mean: np.ndarray) -> float:
        """The largest difference from `mean`, in standard errors.

        A parameter that few batches touch (that of a state which is hardly ever visited) has no
        standard error to speak of. Such parameters are taken together: what counts is the
        difference of their sum, with the signs of `mean`; if few batches touch any of them, nothing.
        """
        seen = (self.estimates != 0).sum(0) >= ENOUGH
        rare = (self.estimates[:, ~seen] * np.sign(mean[~seen])).sum(1, keepdims=True)
        if (rare != 0).sum() < ENOUGH:
            rare = rare[:, :0]
        estimates = np.concatenate((self.estimates[:, seen], rare), 1)
        expected = np.append(mean[seen], np.abs(mean[~seen]).sum())[: estimates.shape[1]]
        difference = np.abs(estimates.mean(0) - expected)
        return float((difference / _standard_error(estimates)).max(initial=0.0))

    def _is_precise(self) -> bool:
        _, low, high = self.relative_bias()
        return high - low <= 2 * RELATIVE_WIDTH


def _standard_error(estimates: np.ndarray) -> np.ndarray:
    """Of the means of the columns `[R, P]`, with what single precision rounds away."""
    error = estimates.std(0, ddof=1) / np.sqrt(len(estimates))
    return np.hypot(error, ROUNDING * np.abs(estimates).mean(0).max(initial=0.0) + 1e-12)


def _point(setting: Setting, sample: _Sample, exact: Moments | None, verdict: Verdict) -> Point:
    gradient, batch = setting.gradient, setting.arm.batch
    episodes = batch.episodes or (batch.steps or 0) / setting.length
    variance = float(np.sum(sample.estimates.var(0, ddof=1))) * episodes
    exact_variance = exact.variance * episodes if exact and np.isfinite(exact.variance) else None
    square = float(gradient @ gradient)
    relative_bias, low, high = sample.relative_bias()
    return Point(
        problem=setting.problem,
        seed=setting.seed,
        episodes=round(len(sample.estimates) * episodes),
        batches=len(sample.estimates),
        exact_gradient=gradient,
        exact_mean=exact.mean if exact else None,
        mean=sample.mean,
        standard_error=sample.standard_error,
        z=sample.z(gradient),
        z_of_mean=sample.z(exact.mean) if exact else None,
        relative_bias=relative_bias,
        low=low,
        high=high,
        cosine=float(_cosine(sample.mean[None], gradient)[0]),
        exact_variance=exact_variance,
        variance=variance,
        episodes_for_snr_1=(variance if exact_variance is None else exact_variance) / square if square else np.inf,
        verdict=verdict,
    )


def _cosines(setting: Setting, pipeline: Pipeline, effort: Effort) -> list[dict[str, object]]:
    """The mean cosine between ∇J and the estimate, over batches of each size, with its 95 % interval.

    (The method of Ilyas et al. 2020, with the exact gradient in the place of a large batch's.)
    """
    rows = []
    for size in effort.cosine_episodes:
        estimates = pipeline.with_batch(size).estimates(0, effort.cosine_batches, setting.length * size)
        mean, low, high = mean_interval(_cosine(estimates, setting.gradient))
        rows.append(
            {"problem": setting.problem, "seed": setting.seed, "batch": size, "cosine": mean, "low": low, "high": high}
        )
    return rows


def _cosine(estimates: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Of each row `[R, P]` with ∇J `[P]`; 0 where either is zero: no direction is no right one."""
    lengths = np.linalg.norm(estimates, axis=-1) * np.linalg.norm(gradient)
    return np.divide(estimates @ gradient, lengths, out=np.zeros(len(estimates)), where=lengths > 0)
