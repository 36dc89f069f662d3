"""The gradient bandit finds the best arm as often as in Sutton and Barto (2018), Fig. 2.5."""

import pytest

import pglab

PUBLISHED = {"running_mean_inclusive": 0.86, "none": 0.49}


@pytest.mark.published
@pytest.mark.parametrize("baseline", PUBLISHED)
def test_the_share_of_optimal_actions_over_the_last_hundred_steps_is_that_of_the_book(tmp_path, baseline):
    asked = ["experiment=gradient_bandit", f"baseline={baseline}", "seeds=2000"]
    rows = pglab.run([*asked, "evaluation.episodes=0", "logger.mode=disabled", f"results_dir={tmp_path}"])
    late = rows.loc[rows["update"] > 900, ["seed", "optimal_action"]].dropna()
    of_run = late.groupby("seed")["optimal_action"].agg(["mean", "size"])
    assert (of_run["size"] == 10).all()  # measured at every tenth step
    assert len(of_run) == 2000
    assert of_run["mean"].mean() == pytest.approx(PUBLISHED[baseline], abs=0.04)
