"""The figures show every run, and their bands and numbers are what they say they are."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from analysis import surrogate
from pglab.results import mean_interval
from pglab.results.plots import learning_curves, run_correlations, surrogate_and_objective
from pglab.results.plots.style import colours_of, wrapped
from tests.results.frames import many_arms, study


def made_up(seeds):
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


def bands(axes):
    return [band for band in axes.collections if not isinstance(band, LineCollection)]


def test_every_run_is_a_line_and_every_arm_a_mean_with_its_number_of_seeds():
    figure = learning_curves(made_up(seeds=4))
    (axes,) = figure.axes
    thin = [len(lines.get_segments()) for lines in axes.collections if isinstance(lines, LineCollection)]
    assert (thin, [line.get_linewidth() for line in axes.lines]) == ([4, 4], [1.6, 1.6])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["total (n = 4)", "rtg (n = 4)"]


def test_the_band_is_the_student_t_interval_at_each_update():
    updates = made_up(seeds=5)
    (axes,) = learning_curves(updates).axes
    last = updates[(updates["arm"] == "weighting=rtg") & (updates["update"] == 5)]
    mean, low, high = mean_interval(last["return_mean"].to_numpy())
    drawn = bands(axes)[1].get_paths()[0].vertices
    at_last = drawn[drawn[:, 0] == last["env_steps"].mean()][:, 1]
    assert (at_last.min(), at_last.max()) == pytest.approx((low, high))
    assert axes.lines[-1].get_ydata()[-1] == pytest.approx(mean)


def test_runs_that_did_not_finish_are_counted_in_the_legend():
    updates = made_up(seeds=3).assign(status="finished")
    updates.loc[(updates["arm"] == "weighting=rtg") & (updates["seed"] < 2), "status"] = "diverged"
    (legend,) = learning_curves(updates).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "total (n = 3)",
        "rtg (n = 3, 2 diverged)",
    ]


def test_more_than_six_arms_get_a_panel_each_before_the_means_of_the_others():
    updates = study(many_arms(7), seeds=3)
    figure = learning_curves(updates)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 7
    for axes, (_, runs) in zip(panels, updates.groupby("arm", sort=False), strict=True):
        grey, thin = (lines for lines in axes.collections if isinstance(lines, LineCollection))
        assert (len(grey.get_segments()), len(thin.get_segments())) == (6, 3)
        (bold,) = axes.lines
        assert bold.get_ydata() == pytest.approx(runs.groupby("update")["return_mean"].mean().to_numpy())
    assert panels[0].get_title(loc="left").replace("\n", " ") == (
        "weighting=total, reduction=episodes, lr=0.003 (n = 3)"
    )
    assert "95 % t interval (pointwise)" in figure.get_suptitle()


def test_one_seed_has_a_line_and_no_band():
    figure = learning_curves(made_up(seeds=1))
    assert all(np.isnan(band.get_paths()[0].vertices[:, 1]).all() if band.get_paths() else True
               for band in bands(figure.axes[0]))  # fmt: skip
    figure.savefig("/dev/null", format="png")


def with_objective(seeds, every=1):
    """The study with a loss, and an exact objective at every so many of its updates."""
    rng, updates = np.random.default_rng(1), made_up(seeds)
    objective = np.where((updates["update"] - 1) % every == 0, rng.normal(size=len(updates)), np.nan)
    return updates.assign(loss=rng.normal(size=len(updates)), objective=objective)


def test_loss_and_objective_of_every_run_stand_side_by_side():
    updates = with_objective(seeds=3)
    figure = surrogate_and_objective(updates)
    for axes, column in zip(figure.axes, ("loss", "objective"), strict=True):
        thin = [line for line in axes.lines if line.get_linewidth() == 0.5]
        bold = [line for line in axes.lines if line.get_linewidth() == 1.6]
        assert (len(thin), len(bold)) == (6, 2)
        expected = updates[updates["arm"] == "weighting=total"].groupby("update")[column].mean()
        assert bold[0].get_ydata() == pytest.approx(expected.to_numpy())
        assert axes.get_xlabel() == "environment steps"


def test_only_updates_with_an_objective_are_drawn():
    figure = surrogate_and_objective(with_objective(seeds=2, every=2))
    assert all(len(line.get_ydata()) == 3 for axes in figure.axes for line in axes.lines)


def test_the_correlation_is_within_each_run_and_its_median_and_range_are_said():
    updates = with_objective(seeds=3)
    found = run_correlations(updates)
    assert len(found) == 6
    for (arm, seed), run in updates.groupby(["arm", "seed"]):
        assert found[arm, seed] == pytest.approx(np.corrcoef(run["loss"], run["objective"])[0, 1])
    of_arm = found["weighting=total"]
    said = f"r = {of_arm.median():.2f} ({of_arm.min():.2f} to {of_arm.max():.2f})".replace("-", "−")
    (legend,) = surrogate_and_objective(updates).legends
    assert legend.get_texts()[0].get_text() == f"total (n = 3): {said}"


def test_two_updates_or_a_constant_have_no_correlation():
    updates = with_objective(seeds=1)
    assert run_correlations(updates[updates["update"] <= 2]).isna().all()
    assert run_correlations(updates.assign(objective=1.0)).isna().all()
    (legend,) = surrogate_and_objective(updates.assign(objective=1.0)).legends
    assert legend.get_texts()[0].get_text().endswith("r is not defined")


def test_arms_with_long_names_are_told_apart_by_what_differs():
    updates = with_objective(seeds=2).assign(status="finished", gamma=1.0)
    updates["weighting"] = updates["arm"].str.removeprefix("weighting=")
    updates["arm"] = "a_very_long_name," * 8 + updates["arm"]
    (legend,) = surrogate_and_objective(updates).legends
    assert [text.get_text().partition(" (n")[0] for text in legend.get_texts()] == ["total", "rtg"]


@pytest.mark.parametrize("given", [made_up(2), made_up(2).assign(loss=0.0, objective=np.nan)], ids=["absent", "empty"])
def test_a_study_without_an_objective_is_refused(given):
    with pytest.raises(ValueError, match="no exact J"):
        surrogate_and_objective(given)


def test_the_command_draws_a_study_and_names_what_is_missing_from_another(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["surrogate", str(study), str(tmp_path / "figure.png")])
    assert surrogate.main() == 2
    said = capsys.readouterr().err
    assert "no exact J" in said
    assert "diagnostics=gradient" in said
    assert not (tmp_path / "figure.png").exists()
    monkeypatch.setattr(sys, "argv", ["surrogate", str(tmp_path / "nowhere")])
    assert surrogate.main() == 2
    assert "nowhere holds no study" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["surrogate", str(study), str(tmp_path / "figure.png")])
    monkeypatch.setattr(surrogate, "load", lambda path: with_objective(seeds=2))
    surrogate.main()
    assert capsys.readouterr().out == f"{tmp_path / 'figure.png'}\n"
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_choice_has_one_colour_in_every_figure():
    one = dict(zip(("total", "rtg"), colours_of(["total (n = 8)", "rtg (n = 8)"]), strict=True))
    other = dict(zip(("gae", "rtg"), colours_of(["weighting=gae", "weighting=rtg"]), strict=True))
    assert one["rtg"] == other["rtg"]
    assert len({*one.values(), *other.values()}) == 3
    assert colours_of(["running_mean_inclusive"]) == colours_of(["running_mean"])  # variants of one
    every = colours_of(["rtg", "mine", "none", "lr=0.1, weighting=rtg", "total"])
    assert len(set(every)) == 5
    assert every[0] == one["rtg"]


def test_names_break_between_their_parts_and_never_inside_a_word():
    name = "estimator.reduction=episodes, optimizer.lr=0.0003"
    for inches in (0.5, 1.0, 1.5, 3.0):
        lines = wrapped(name, inches).split("\n")
        assert "".join(lines).replace(" ", "") == name.replace(" ", "")
        for line in lines:
            assert set(re.findall(r"[a-z]+|[\d.]+", line)) <= {*re.findall(r"[a-z]+|[\d.]+", name)}
