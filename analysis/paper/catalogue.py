"""The figures of the paper, in order."""

from analysis.paper.figures import corridor, exact_variance, gradient_bandit

FIGURES = (
    corridor.REINFORCE,
    corridor.BASELINE,
    gradient_bandit.FIGURE,
    exact_variance.FIGURE,
)
