"""One estimator at one parameter point of one problem: what it should be, what it is, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pglab.results.arm_summary import mean_interval
from pglab.verify.attribution import Share
from pglab.verify.measure import Pipeline
from pglab.verify.sample import cosine_to
from pglab.verify.setting import Setting
from pglab.verify.trial import Fault, Trial, fault_of_a_part
from pglab.verify.updates import MeanUpdate, mean_updates

Verdict = Literal["unbiased", "unbiased up to scale", "biased as declared", "wrong"]

FALSE_ALARM = 1e-3  # probability of calling an estimator wrong by chance, before a second sample must agree


@dataclass(frozen=True)
class Effort:
    """The amount to sample at each point.

    Attributes:
        batches: at most so many; fewer where the relative bias is known to ±5 % before.
        cosine_episodes: sizes of the batches whose cosine to ∇J is measured.
        cosine_batches: how many batches of each size.
        epochs: numbers of epochs whose mean update is enumerated, of an arm that uses its batches in epochs.
    """

    batches: int
    cosine_episodes: Sequence[int]
    cosine_batches: int
    epochs: Sequence[int] = ()

    def __post_init__(self) -> None:
        for name, least in (("batches", 100), ("cosine_batches", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        for name in ("cosine_episodes", "epochs"):
            if any(not isinstance(size, int) or size < 1 for size in getattr(self, name)):
                raise ValueError(f"{name}={list(getattr(self, name))} must be whole numbers of at least 1")


@dataclass(frozen=True)
class Point:
    """The findings at a point. Vectors are `[P]`; variances are those of one episode's share of a batch:
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
        relative_bias, low, high: of the mean along ∇J, with the interval by which it is judged: for an unbiased
            estimator those of all points hold 0 together, but for the probability FALSE_ALARM.
        cosine: between the mean and ∇J.
        exact_variance, variance: None where the exact one is not known.
        episodes_for_snr_1: episodes in a batch whose signal ‖∇J‖ equals its noise.
        scale: c where the exact mean is c ∇J; None where it is not, or not known.
        exact_factor, exact_cosine: m·∇J / ‖∇J‖² of the exact mean m, and its cosine with ∇J; None where m is not known.
        attribution: the bias, choice by choice; empty where it has none, or is not known exactly.
        verdict: at this point.
        fault: what is wrong there, or None.
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
    scale: float | None
    exact_factor: float | None
    exact_cosine: float | None
    attribution: list[Share]
    verdict: Verdict
    fault: Fault | None


def judge(setting: Setting, effort: Effort, points: int) -> tuple[Point, list[dict[str, object]], list[MeanUpdate]]:
    """Measures until it is precise enough, and compares.

    A mean that differs from what it should be is called wrong only if a second sample, of the
    same size and drawn afresh, differs too. Where a bias is declared and no independent exact mean
    accounts for it, the parts are measured without it.

    Args:
        points: at how many points the estimator is judged, for the size of z that chance allows.

    Returns:
        The point, a row for each batch size with the mean cosine to ∇J, and the mean updates.
    """
    trial = Trial.begin(setting, effort.batches, FALSE_ALARM / points)
    declared = bool(setting.bias)
    fault = trial.fault()
    if fault is None and declared and setting.head_fault is None and not trial.is_known:
        fault = fault_of_a_part(trial)
    verdict: Verdict = "wrong" if fault else "biased as declared" if declared else "unbiased"
    if verdict == "biased as declared" and trial.scale is not None:
        verdict = "unbiased up to scale"
    pipeline = trial.sample.pipeline
    updates = mean_updates(setting, pipeline, effort.epochs)
    return _point(trial, fault, verdict), _cosines(setting, pipeline, effort), updates


def _point(trial: Trial, fault: Fault | None, verdict: Verdict) -> Point:
    setting, sample, exact = trial.setting, trial.sample, trial.exact
    gradient, batch = setting.gradient, setting.arm.batch
    episodes = batch.episodes or (batch.steps or 0) / setting.length
    variance = float(np.sum(sample.estimates.var(0, ddof=1))) * episodes
    exact_variance = exact.variance * episodes if exact and exact.variance is not None else None
    square = float(gradient @ gradient)
    relative_bias, _, _ = sample.relative_bias()
    low, high = sample.interval(trial.chance)
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
        cosine=sample.cosine(),
        exact_variance=exact_variance,
        variance=variance,
        episodes_for_snr_1=(variance if exact_variance is None else exact_variance) / square if square else np.inf,
        scale=trial.scale,
        exact_factor=float(exact.mean @ gradient) / square if exact and square else None,
        exact_cosine=float(cosine_to(exact.mean[None], gradient)[0]) if exact and square else None,
        attribution=trial.attribution(),
        verdict=verdict,
        fault=fault,
    )


def _cosines(setting: Setting, pipeline: Pipeline, effort: Effort) -> list[dict[str, object]]:
    """The mean cosine between ∇J and the estimate, over batches of each size, with its 95 % interval.

    (The method of Ilyas et al. 2020, with the exact gradient in the place of a large batch's.)
    """
    rows = []
    sizes = dict.fromkeys(pipeline.with_batch(size).arm.batch.episodes for size in effort.cosine_episodes)
    for size in filter(None, sizes):
        estimates = pipeline.with_batch(size).estimates(0, effort.cosine_batches, setting.length * size)
        mean, low, high = mean_interval(cosine_to(estimates, setting.gradient))
        rows.append(
            {"problem": setting.problem, "seed": setting.seed, "batch": size, "cosine": mean, "low": low, "high": high}
        )
    return rows
