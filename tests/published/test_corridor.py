"""The short corridor's learning curves are those of Sutton and Barto (2018), Figs. 13.1 and 13.2."""

import numpy as np
import pytest

import pglab

RUNS = 100
BLOCKS = ((90, 100), (190, 200), (450, 500), (900, 1000))  # episodes 91-100, 191-200, 451-500, 901-1000
PUBLISHED = [
    ("corridor_reinforce", "optimizer.lr=0.000244140625", (-23.8, -17.0, -12.6, -11.7)),
    ("corridor_reinforce", "optimizer.lr=0.0001220703125", (-34.0, -22.5, -15.0, -12.4)),
    ("corridor_baseline", "optimizer.lr=0.001953125", (-12.4, -12.1, -11.9, -11.9)),
]


@pytest.mark.published
@pytest.mark.parametrize(("experiment", "rate", "published"), PUBLISHED)
def test_mean_returns_are_those_of_the_book_and_the_runs_that_hit_the_limit_are_few(
    tmp_path, experiment, rate, published
):
    asked = [f"experiment={experiment}", rate, f"seeds={RUNS}", "logger.mode=disabled", f"results_dir={tmp_path}"]
    rows = pglab.run([*asked, "evaluation.episodes=0"])
    returns = rows.pivot(index="seed", columns="update", values="return_mean")
    capped = rows.groupby("seed")["status"].first() == "diverged"
    assert capped.sum() <= 0.1 * RUNS
    assert (returns.min(axis=1) == -20_000)[capped].all()
    whole = returns[~capped].to_numpy()
    assert whole.shape == (RUNS - capped.sum(), 1000)
    for (first, last), of_book in zip(BLOCKS, published, strict=True):
        of_run = whole[:, first:last].mean(1)
        error = of_run.std(ddof=1) / len(of_run) ** 0.5
        # The book's curve is a mean over as many runs, with an error of its own.
        assert abs(of_run.mean() - of_book) < 4 * np.hypot(error, error)
