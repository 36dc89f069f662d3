"""Estimates of ∇J at one point, and what their mean is held against."""

import numpy as np
from scipy import stats

from pglab.results.arm_summary import mean_interval
from pglab.verify.measure import Pipeline
from pglab.verify.setting import Setting

RELATIVE_WIDTH = 0.05  # half the interval of the relative bias: precise enough
FIRST_BATCHES = 1000
ROUNDING = 1e-6  # of single precision, relative
ENOUGH = 100  # batches that touch a parameter, for its mean to be nearly normal


class Sample:
    """Estimates `[R, P]`: as many as it takes to know the relative bias well, or all that are allowed."""

    def __init__(self, setting: Setting, pipeline: Pipeline, most: int, first: int = 0) -> None:
        self._setting, self.pipeline, self.most = setting, pipeline, most
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

    def interval(self, chance: float) -> tuple[float, float]:
        """Ends for the relative bias, with the margin of `differs`: without 0 between them the mean is not ∇J."""
        along, square = self.estimates @ self._gradient, self._gradient @ self._gradient
        if not square:
            return np.nan, np.nan
        middle, half = along.mean() / square - 1.0, self._largest(chance) * _standard_error(along[:, None])[0] / square
        return float(middle - half), float(middle + half)

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

    def differs(self, mean: np.ndarray, chance: float) -> bool:
        """Says whether the mean is not `mean`, beyond what chance allows, and that of a fresh sample neither.

        Differences in any parameter count, and along ∇J.
        """
        return self._is_beyond(mean, chance) and self._again()._is_beyond(mean, chance)

    def points_downhill(self, chance: float) -> bool:
        """Says whether the mean does not point along ∇J, in the same way."""
        return self._is_downhill(chance) and self._again()._is_downhill(chance)

    def cosine(self) -> float:
        """Of the mean with ∇J."""
        return float(cosine_to(self.mean[None], self._gradient)[0])

    def _is_beyond(self, mean: np.ndarray, chance: float) -> bool:
        along = self.estimates @ self._gradient
        far = abs(along.mean() - mean @ self._gradient) / _standard_error(along[:, None])[0]
        touched = (along != 0).sum() >= ENOUGH
        return bool(max(self.z(mean), far if touched else 0.0) > self._largest(chance))

    def _largest(self, chance: float) -> float:
        """Standard errors that chance allows, over all parameters and the direction of ∇J (Bonferroni)."""
        return float(stats.norm.isf(chance / 2 / (len(self._gradient) + 1)))

    def _is_downhill(self, chance: float) -> bool:
        along = self.estimates @ self._gradient
        if (along != 0).sum() < ENOUGH:
            return False
        return bool(along.mean() + stats.norm.isf(chance) * along.std(ddof=1) / np.sqrt(len(along)) <= 0)

    def _again(self) -> "Sample":
        return Sample(self._setting, self.pipeline, self.most, first=len(self.estimates))

    def _is_precise(self) -> bool:
        _, low, high = self.relative_bias()
        return bool(high - low <= 2 * RELATIVE_WIDTH)


def _standard_error(estimates: np.ndarray) -> np.ndarray:
    """Of the means of the columns `[R, P]`, with what single precision rounds away."""
    error = estimates.std(0, ddof=1) / np.sqrt(len(estimates))
    return np.hypot(error, ROUNDING * np.abs(estimates).mean(0).max(initial=0.0) + 1e-12)


def cosine_to(estimates: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The cosine of each row `[R, P]` with ∇J `[P]`; 0 where either is zero: no direction is no right one."""
    lengths = np.linalg.norm(estimates, axis=-1) * np.linalg.norm(gradient)
    return np.divide(estimates @ gradient, lengths, out=np.zeros(len(estimates)), where=lengths > 0)
