"""Figures: functions of a frame that return a matplotlib Figure, with no global style; `save` writes one."""

from pglab.results.plots.curves import DIAGNOSTICS, gradient_diagnostics, learning_curves
from pglab.results.plots.distributions import performance_profile, probability_of_improvement
from pglab.results.plots.forest import effects, paired_differences
from pglab.results.plots.per_seed import seed_scores, sensitivity
from pglab.results.plots.saving import save
from pglab.results.plots.surrogate_and_objective import run_correlations, surrogate_and_objective

__all__ = [
    "DIAGNOSTICS",
    "effects",
    "gradient_diagnostics",
    "learning_curves",
    "paired_differences",
    "performance_profile",
    "probability_of_improvement",
    "run_correlations",
    "save",
    "seed_scores",
    "sensitivity",
    "surrogate_and_objective",
]
