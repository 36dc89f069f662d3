"""Reading a study: pandas frames and what can honestly be said about them. Imports no torch."""

from pglab.errors import DamagedError
from pglab.results.across import across_problems, describe_across
from pglab.results.arm_summary import mean_interval, summarize
from pglab.results.arms import describe_arms
from pglab.results.by_problem import by_problem, problems
from pglab.results.comparisons import compare, compare_pairs
from pglab.results.effects import main_effects
from pglab.results.factors import anova, effect_across
from pglab.results.hyperparameters import hyperparameter_sensitivity
from pglab.results.incomplete import IncompleteStudy
from pglab.results.load import load, load_evaluation
from pglab.results.normalised import load_references, normalized
from pglab.results.one_program import load_twins
from pglab.results.others import read_runs
from pglab.results.planning import seeds_needed
from pglab.results.remote import load_wandb
from pglab.results.scores import scores
from pglab.results.sequential import decide

__all__ = [
    "DamagedError",
    "IncompleteStudy",
    "across_problems",
    "anova",
    "by_problem",
    "compare",
    "compare_pairs",
    "decide",
    "describe_across",
    "describe_arms",
    "effect_across",
    "hyperparameter_sensitivity",
    "load",
    "load_evaluation",
    "load_references",
    "load_twins",
    "load_wandb",
    "main_effects",
    "mean_interval",
    "normalized",
    "problems",
    "read_runs",
    "scores",
    "seeds_needed",
    "summarize",
]
