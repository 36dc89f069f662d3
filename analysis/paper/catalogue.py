"""The figures of the paper, in order."""

from analysis.paper.figures import (
    cartpole,
    code_level,
    continuous_control,
    corridor,
    exact_variance,
    gradient_bandit,
    gradient_cosine,
    group_estimators,
    linear_agents,
    loss_value,
    pong,
    ppo_details,
    same_policy,
    sensitivity,
)

FIGURES = (
    cartpole.FIGURE,
    loss_value.FIGURE,
    linear_agents.FIGURE,
    same_policy.FIGURE,
    corridor.REINFORCE,
    corridor.BASELINE,
    gradient_bandit.FIGURE,
    exact_variance.FIGURE,
    gradient_cosine.FIGURE,
    group_estimators.FIGURE,
    sensitivity.FIGURE,
    ppo_details.FIGURE,
    continuous_control.FIGURE,
    code_level.FIGURE,
    pong.FIGURE,
)
