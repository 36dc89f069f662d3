"""An arm measured at one point and held against what it should be; and, if need be, part by part."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pglab.training.arm import Arm
from pglab.verify.attribution import Share, attribution, scale_of
from pglab.verify.expected import Expected, expected
from pglab.verify.measure import Pipeline
from pglab.verify.parts import own_declared_parts, undeclared_parts, without_bias
from pglab.verify.sample import ROUNDING, Sample
from pglab.verify.setting import Setting
from pglab.verify.solved import critic_of


@dataclass(frozen=True)
class Fault:
    """A mean that is not as it should be.

    Attributes:
        said: in words.
        z: in standard errors; relative_bias, cosine: of what was measured for it.
        undeclared: whether it is the whole estimator's, which declares no bias.
    """

    said: str
    z: float
    relative_bias: float
    cosine: float
    undeclared: bool


@dataclass(frozen=True)
class Trial:
    """An arm, measured.

    Attributes:
        exact: what is known of its mean, or None.
        critic: at the point, where it has one.
        chance: probability of a false alarm, before a second sample must agree.
    """

    setting: Setting
    sample: Sample
    exact: Expected | None
    critic: Any
    chance: float

    @classmethod
    def begin(cls, setting: Setting, most: int, chance: float) -> "Trial":
        """Measures with at most so many batches."""
        pipeline = Pipeline.begin(setting.shapes, setting.arm, setting.seed)
        arm, observation = setting.arm, setting.shapes.world.observation
        critic = critic_of(arm, observation, pipeline.state) if arm.has_critic else None
        exact = expected(arm, setting.solved, pipeline.state, critic)
        return cls(setting, Sample(setting, pipeline, most), exact, critic, chance)

    def of(self, arm: Arm) -> "Trial":
        """Another arm at the same point, with a head that declares no bias where it offers that."""
        return Trial.begin(replace(self.setting, arm=arm).with_unbiased_head(), self.sample.most, self.chance)

    @property
    def is_known(self) -> bool:
        """Says whether a formula of its own accounts for the mean."""
        return self.exact is not None and self.exact.is_independent

    @property
    def scale(self) -> float | None:
        """c where the mean is known exactly and is c ∇J."""
        return None if self.exact is None else scale_of(self.exact.mean, self.setting.gradient)

    def attribution(self) -> list[Share]:
        """The bias, choice by choice."""
        if self.exact is None:  # what the state holds may be too little even for its parts
            return []
        return attribution(self.setting, self.sample.pipeline.state, self.critic)

    def fault(self) -> Fault | None:
        """A mean that is not ∇J, or not what the declared bias makes of it where that is known."""
        exact = self.exact
        if not self.setting.bias:
            return self.fault_if_not(self.setting.gradient, "its mean is not ∇J, and it declares no bias")
        if exact is None:
            return None
        said = "its mean is not what its bias makes of ∇J"
        if exact.contradiction is not None and _differ(exact.contradiction, exact.mean):
            return self._fault(said, exact.mean)
        return self.fault_if_not(exact.mean, said)

    def fault_if_not(self, mean: np.ndarray, said: str) -> Fault | None:
        """A fault where the mean, measured or known exactly, is another than `mean`."""
        if (self.exact and _differ(self.exact.mean, mean)) or self.sample.differs(mean, self.chance):
            return self._fault(said, mean)
        return None

    def fault_if_downhill(self, said: str) -> Fault | None:
        """A fault where the mean, measured or known exactly, does not point along ∇J."""
        gradient = self.setting.gradient
        if self.exact is not None:
            downhill = self.exact.mean @ gradient <= 0 < gradient @ gradient
        else:
            downhill = self.sample.points_downhill(self.chance)
        return self._fault(said, gradient) if downhill else None

    def _fault(self, said: str, mean: np.ndarray) -> Fault:
        sample, undeclared = self.sample, not self.setting.bias
        return Fault(said, sample.z(mean), sample.relative_bias()[0], sample.cosine(), undeclared)


def fault_of_a_part(whole: Trial) -> Fault | None:
    """A fault that a declared bias does not explain, named by its part.

    With everything taken away that the parts declare, the mean must be ∇J. Where a user's own part
    declares a bias and offers no setting without it, the others must be unbiased by themselves,
    and it must at least point along ∇J when all else is unbiased.
    """
    arm = whole.setting.arm
    is_plain = _same(without_bias(arm), arm) and whole.setting.with_unbiased_head() is whole.setting
    plain = whole if is_plain else whole.of(without_bias(arm))
    if not plain.setting.bias:
        rest = plain.fault_if_not(plain.setting.gradient, "without all that it declares, its mean is not ∇J")
    else:
        rest = plain.fault()
    if rest or (plain.setting.bias and not plain.is_known):
        for part, alone in undeclared_parts(arm):
            said = f"{part} with everything else unbiased, has another mean than ∇J and declares no bias"
            if fault := plain.of(alone).fault_if_not(plain.setting.gradient, said):
                return replace(fault, undeclared=False)
    if rest:
        return replace(rest, undeclared=False)
    for part, declared in own_declared_parts(arm):
        trial = plain if _same(declared, plain.setting.arm) else plain.of(declared)
        if fault := trial.fault_if_downhill(f"{part} declares a bias, but its mean does not point uphill at all"):
            return fault
    return None


def _same(one: Arm, other: Arm) -> bool:
    return all(getattr(one, part) == getattr(other, part) for part in ("weighting", "estimator", "batch", "rewards"))


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one - other).max() > ROUNDING * max(np.abs(other).max(), 1.0))
