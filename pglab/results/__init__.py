"""Reading a study: pandas frames and what can honestly be said about them. Imports no torch."""

from pglab.errors import DamagedError
from pglab.results.arms import describe_arms
from pglab.results.comparisons import compare
from pglab.results.effects import main_effects
from pglab.results.factors import anova, effect_across
from pglab.results.incomplete import IncompleteStudy
from pglab.results.load import load, load_evaluation
from pglab.results.planning import seeds_needed
from pglab.results.remote import load_wandb
from pglab.results.scores import scores
from pglab.results.summary import mean_interval, summarize

__all__ = [
    "DamagedError",
    "IncompleteStudy",
    "anova",
    "compare",
    "describe_arms",
    "effect_across",
    "load",
    "load_evaluation",
    "load_wandb",
    "main_effects",
    "mean_interval",
    "scores",
    "seeds_needed",
    "summarize",
]
