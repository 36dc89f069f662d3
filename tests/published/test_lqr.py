"""REINFORCE on the linear-quadratic problem earns what its policy is worth, and nearly the best there is."""

import numpy as np
import pytest

import pglab
from pglab.envs.lqr import lqr
from pglab.exact.linear_quadratic import LinearGaussian, objective, optimum
from pglab.results import load_evaluation

SEEDS, EPISODES = 4, 1000


@pytest.mark.published
def test_final_returns_are_those_of_the_final_policies_and_near_the_optimum(tmp_path):
    asked = ["experiment=lqr_reinforce", f"seeds={SEEDS}", f"evaluation.episodes={EPISODES}", "logger.mode=disabled"]
    pglab.run([*asked, f"results_dir={tmp_path}"])
    (file,) = tmp_path.rglob("policies.npz")
    returns = load_evaluation(file.parent.parent).groupby("seed")["return"]
    problem, policies = lqr(), np.load(file)
    _, best = optimum(problem, gamma=1.0)
    start = objective(problem, LinearGaussian(np.zeros((1, 3)), np.zeros(1)), 1.0)
    for seed in range(SEEDS):
        final = LinearGaussian(*(policies[f"{seed}/{name}"].astype(float) for name in ("weight", "log_sigma")))
        worth, measured = objective(problem, final, 1.0), returns.get_group(seed)
        assert abs(measured.mean() - worth) < 4.5 * measured.std() / EPISODES**0.5
        assert worth > best - 0.03 * (best - start)
