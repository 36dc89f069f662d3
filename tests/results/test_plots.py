"""The figure shows every run, and the band is the interval it says it is."""

import numpy as np
import pandas as pd
import pytest

from pglab.results import mean_interval
from pglab.results.plots import learning_curves


def study(seeds):
    rng = np.random.default_rng(0)
    rows = [
        {
            "arm": arm,
            "seed": seed,
            "update": update,
            "env_steps": 100 * update + seed,
            "return_mean": rng.normal(update),
        }
        for arm in ("weighting=total", "weighting=rtg")
        for seed in range(seeds)
        for update in range(1, 6)
    ]
    return pd.DataFrame(rows)


def test_every_run_is_a_line_and_every_arm_a_mean_with_its_number_of_seeds():
    figure = learning_curves(study(seeds=4))
    (axes,) = figure.axes
    thin = [line for line in axes.lines if line.get_linewidth() == 0.5]
    bold = [line for line in axes.lines if line.get_linewidth() == 1.6]
    assert (len(thin), len(bold)) == (8, 2)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["weighting=total (n = 4)", "weighting=rtg (n = 4)"]


def test_the_band_is_the_student_t_interval_at_each_update():
    updates = study(seeds=5)
    (axes,) = learning_curves(updates).axes
    last = updates[(updates["arm"] == "weighting=rtg") & (updates["update"] == 5)]
    mean, low, high = mean_interval(last["return_mean"].to_numpy())
    drawn = axes.collections[1].get_paths()[0].vertices
    at_last = drawn[drawn[:, 0] == last["env_steps"].mean()][:, 1]
    assert (at_last.min(), at_last.max()) == pytest.approx((low, high))
    assert axes.lines[-1].get_ydata()[-1] == pytest.approx(mean)


def test_one_seed_has_a_line_and_no_band():
    figure = learning_curves(study(seeds=1))
    assert all(np.isnan(band.get_paths()[0].vertices[:, 1]).all() if band.get_paths() else True
               for band in figure.axes[0].collections)  # fmt: skip
    figure.savefig("/dev/null", format="png")
