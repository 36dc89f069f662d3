"""Reading a study: pandas frames and what can honestly be said about them. Imports no torch."""

from pglab.results.incomplete import IncompleteStudy
from pglab.results.load import load, load_evaluation
from pglab.results.remote import load_wandb
from pglab.results.summary import mean_interval, summarize
from pglab.sealed import DamagedError

__all__ = ["DamagedError", "IncompleteStudy", "load", "load_evaluation", "load_wandb", "mean_interval", "summarize"]
