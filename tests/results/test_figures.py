"""What the figures of scores, comparisons and diagnostics draw is what the frames say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from pglab.results import mean_interval, plots
from tests.results import frames

ARMS = ["weighting=total", "weighting=rtg", "weighting=gae"]


def labels(axes):
    return [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]


def points(axes, marker):
    """x and y of every mark of a kind."""
    drawn = [line.get_xydata() for line in axes.lines if line.get_marker() == marker]
    return np.concatenate(drawn) if drawn else np.empty((0, 2))


def bars(axes):
    """Both ends and the place of each horizontal interval."""
    segments = [segment for lines in axes.collections for segment in lines.get_segments()]
    return {round(float(segment[0, 1]), 2): (segment[0, 0], segment[1, 0]) for segment in segments}


def test_differences_are_sorted_with_their_intervals_their_n_and_their_p():
    rows = frames.comparisons(ARMS)
    (axes,) = plots.paired_differences(rows, score="final return").axes
    by_size = rows.sort_values("difference", ascending=False)
    assert by_size["arm"].tolist() == ["weighting=gae", "weighting=rtg"]
    assert labels(axes) == ["gae", "rtg"]
    assert points(axes, "o")[:, 0] == pytest.approx(by_size["difference"])
    assert bars(axes) == {place: pytest.approx(ends) for place, ends in enumerate(by_size[["low", "high"]].to_numpy())}
    assert [text.get_text() for text in axes.texts] == ["n", "6", "6", "p (Bonf.)", ".0002", "< .0001"]
    said = axes.get_xlabel().replace("\n", " ")
    assert said == "difference in final return to total (95 % interval; paired by seed)"
    assert [0, 0] in [list(line.get_xdata()) for line in axes.lines]


def test_unpaired_differences_are_squares_and_several_controls_are_headings():
    rows = frames.comparisons(ARMS)
    both = pd.concat([rows, rows.assign(control="weighting=none", paired=False)], ignore_index=True)
    (axes,) = plots.paired_differences(both, interval="simultaneous 95 % interval").axes
    assert labels(axes)[::3] == ["against total", "against none"]
    assert points(axes, "o")[:, 1].tolist() == [1, 2]
    assert points(axes, "s")[:, 1].tolist() == [4, 5]
    said = axes.get_xlabel().replace("\n", " ")
    assert said.endswith("(simultaneous 95 % interval; dot: paired by seed, square: unpaired)")


def test_effects_stand_under_their_factors():
    table = frames.effects()
    (axes,) = plots.effects(table).axes
    expected = ["weighting", "rtg", "optimizer.lr", "0.01", "0.03", "weighting × optimizer.lr", "rtg × 0.03"]
    assert labels(axes) == expected
    bold = [label.get_text() for label in axes.get_yticklabels() if label.get_fontweight() == "bold"]
    assert [text.replace("\n", " ") for text in bold] == [expected[0], expected[2], expected[5]]
    assert points(axes, "o").tolist() == [[12, 1], [-3, 3], [33, 4], [-4, 6]]
    assert bars(axes) == {1: (5, 19), 3: (-9, 3), 4: (20, 46), 6: (-14, 6)}


def test_every_seed_is_a_dot_joined_to_itself_and_a_run_without_a_score_is_counted():
    scores = frames.scores(ARMS)
    scores.loc[0, "score"] = np.nan
    (axes,) = plots.seed_scores(scores, score="final return").axes
    assert labels(axes) == ["total (n = 5 of 6)", "rtg (n = 6)", "gae (n = 6)"]
    for place, (_, runs) in enumerate(scores.dropna().groupby("arm", sort=False)):
        dots = points(axes, "o")
        assert sorted(dots[dots[:, 1] == place, 0]) == sorted(runs["score"])
        mean, low, high = mean_interval(runs["score"].to_numpy())
        assert points(axes, "D")[place, 0] == pytest.approx(mean)
        assert bars(axes)[round(place + 0.27, 2)] == pytest.approx((low, high))
    joined = [line.get_xdata() for line in axes.lines if to_rgb(line.get_color()) == to_rgb("0.6")]
    by_seed = scores.pivot(index="seed", columns="arm", values="score")[ARMS]
    np.testing.assert_array_equal(joined, by_seed)
    assert "line: the same seed" in axes.get_xlabel()


def test_without_common_seeds_nothing_is_joined_and_nothing_said_of_it():
    scores = frames.scores(ARMS)
    (axes,) = plots.seed_scores(scores.assign(seed=range(len(scores)))).axes
    assert "the same seed" not in axes.get_xlabel()


def test_a_run_that_was_cut_off_is_an_open_triangle_and_the_mean_is_the_restricted_one():
    (axes,) = plots.seed_scores(frames.TIMES).axes
    assert labels(axes) == ["a=1 (n = 6, 3 censored)"]
    assert sorted(points(axes, ">")[:, 0]) == [2, 4, 4]
    assert sorted(points(axes, "o")[:, 0]) == [1, 2, 3]
    assert points(axes, "D")[0, 0] == pytest.approx(1 + 5 / 6 + 4 / 6 + 4 / 9)
    said = axes.get_xlabel().replace("\n", " ")
    assert "triangle: censored" in said
    assert "mean restricted to 4" in said
    figure = plots.sensitivity(frames.TIMES, "a")
    assert figure.legends[0].get_texts()[0].get_text() == "a (n = 6, 3 censored)"
    assert "mean restricted to 4" in figure.legends[0].get_title().get_text()
    assert figure.axes[0].lines[-1].get_ydata() == pytest.approx([1 + 5 / 6 + 4 / 6 + 4 / 9])


def test_intervals_without_ends_or_without_a_test_keep_their_rows():
    table = frames.comparisons([*ARMS, "weighting=none"])
    table = table.assign(low=[-np.inf, np.nan, 1.0], high=[np.inf, np.nan, 9.0], difference=[3.0, 2.0, 1.0])
    assert labels(plots.paired_differences(table).axes[0]) == [
        "rtg (interval without ends)",
        "gae (no interval)",
        "none",
    ]
    assert labels(plots.effects(frames.effects().assign(low=-np.inf, high=np.inf)).axes[0])[1] == (
        "rtg (interval without ends)"
    )


NASTY = [r"weighting=$\frac{1}$", "weighting=\x1b[31mred", "weighting=x_1^2$"]
FIGURES_OF_NAMES = {
    "learning_curves": lambda arms: plots.learning_curves(frames.study(arms)),
    "learning_curves_of_many": lambda arms: plots.learning_curves(frames.study(arms + frames.many_arms(5))),
    "gradient_diagnostics": lambda arms: plots.gradient_diagnostics(frames.study(arms)),
    "surrogate_and_objective": lambda arms: plots.surrogate_and_objective(frames.study(arms)),
    "paired_differences": lambda arms: plots.paired_differences(frames.comparisons(arms)),
    "seed_scores": lambda arms: plots.seed_scores(frames.scores(arms), r"$\frac{1}$"),
    "performance_profile": lambda arms: plots.performance_profile(frames.scores(arms), r"$\frac{1}$"),
    "probability_of_improvement": lambda arms: plots.probability_of_improvement(frames.pairs(arms)),
    "effects": lambda arms: plots.effects(frames.effects().assign(level=[*arms, "$$"], factor="$x$")),
}


@pytest.mark.parametrize("figure", FIGURES_OF_NAMES)
def test_names_are_drawn_as_they_were_typed(figure: str):
    drawn = FIGURES_OF_NAMES[figure](NASTY)
    drawn.draw_without_rendering()  # a formula that is none would raise
    texts = [text for text in drawn.findobj(Text) if text.get_visible()]
    said = " ".join(
        text.get_text().replace("\n", "") for text in texts if not text.get_text().startswith("$\\mathdefault")
    )
    assert r"\$\frac{1}\$" in said
    assert r"x_1^2\$" in said
    assert r"\x1b[31mred" in said
    assert "$" not in said.replace(r"\$", "")


def test_the_matrix_has_the_best_on_top_and_blanks_where_nothing_is_known():
    pairs = pd.DataFrame({"arm": ARMS, "other": [*ARMS[1:], ARMS[0]], "p_better": [0.1, 0.45, 0.9]})
    axes = plots.probability_of_improvement(pairs).axes[0]
    assert labels(axes) == ["1  gae", "2  rtg", "3  total"]
    assert axes.yaxis_inverted()
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(2.5, 0.5): "0.90", (0.5, 1.5): "0.45", (1.5, 2.5): "0.10"}


def test_sensitivity_joins_arms_that_differ_in_the_key_only():
    arms = [f"optimizer.lr={lr},weighting={w}" for w in ("total", "rtg") for lr in (0.003, 0.01, 0.03)]
    scores = frames.scores(arms)
    figure = plots.sensitivity(scores, "optimizer.lr", score="final return")
    (axes,) = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "total (n = 6)",
        "rtg (n = 6)",
    ]
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "optimizer.lr", "final return")
    means = scores.groupby("arm", sort=False)["score"].mean().to_numpy().reshape(2, 3)
    bold = [line for line in axes.lines if line.get_linewidth() == 1.6]
    for line, mean in zip(bold, means, strict=True):
        assert line.get_ydata() == pytest.approx(mean)
        assert line.get_xdata() == pytest.approx([0.003, 0.01, 0.03], rel=0.1)
    assert (bold[0].get_xdata() < bold[1].get_xdata()).all()


def test_a_value_at_which_no_run_has_a_score_stays_on_the_axis_and_is_counted():
    scores = frames.scores([f"optimizer.lr={lr},weighting=rtg" for lr in (0.01, 0.03, 0.1)])
    scores.loc[scores["arm"].str.contains("lr=0.1,"), "score"] = np.nan
    figure = plots.sensitivity(scores, "optimizer.lr")
    assert figure.legends[0].get_texts()[0].get_text() == "weighting=rtg (n = 0 to 6 of 6)"
    assert figure.axes[0].get_xticks() == pytest.approx([0.01, 0.03, 0.1])
    low, high = figure.axes[0].get_xlim()
    assert low < 0.01 < 0.1 < high


def test_sensitivity_takes_a_column_before_the_name_and_a_narrow_range_is_linear():
    scores = frames.scores(["gamma=0.9", "default"]).assign(gamma=lambda rows: rows["arm"].map({"gamma=0.9": 0.9}))
    with pytest.raises(ValueError, match=r"gamma has to be a number in every arm.*'default'"):
        plots.sensitivity(scores, "gamma")
    (axes,) = plots.sensitivity(scores.fillna({"gamma": 1.0}), "gamma").axes
    assert axes.get_xscale() == "linear"
    assert sorted(axes.get_xticks()) == [0.9, 1.0]


def test_diagnostics_have_a_panel_for_each_column_that_was_measured():
    updates = frames.study(ARMS).drop(columns=["kl"]).assign(objective=np.nan)
    updates.loc[0, "explained_variance"] = -40.0
    updates.loc[updates["update"] == 2, "grad_variance"] = 0.0
    figure = plots.gradient_diagnostics(updates)
    shown = {axes.get_title(loc="left").replace("\n", " "): axes for axes in figure.axes if axes.get_visible()}
    assert set(shown) == {
        *("variance of the gradient", "signal-to-noise ratio of the gradient", "cosine to the exact gradient"),
        *("cosine between gradients of half batches", "share of variance removed by the baseline"),
        "share of variance explained by the critic (cut at −1)",
    }
    variance = shown["variance of the gradient"]
    assert variance.get_yscale() == "log"
    bold = [line for line in variance.lines if line.get_linewidth() == 1.4]
    rows = updates[(updates["arm"] == ARMS[1]) & (updates["update"] != 2)]
    assert bold[1].get_ydata() == pytest.approx(rows.groupby("update")["grad_variance"].median().to_numpy())
    assert [len(lines.get_segments()) for lines in variance.collections] == [4, 4, 4]
    assert shown["share of variance explained by the critic (cut at −1)"].get_ylim()[0] == pytest.approx(-1.05)


def test_diagnostics_that_were_not_measured_are_refused():
    updates = frames.study(ARMS)
    with pytest.raises(ValueError, match="no gradient diagnostics"):
        plots.gradient_diagnostics(updates.drop(columns=list(frames.DIAGNOSTICS)))
    with pytest.raises(ValueError, match="no gradient diagnostics"):
        plots.gradient_diagnostics(updates.assign(**dict.fromkeys(frames.DIAGNOSTICS, np.nan)))


@pytest.mark.parametrize("name", ["learning_curves", "seed_scores", "paired_differences", "probability_of_improvement"])
def test_twelve_arms_with_long_names_stay_inside_the_figure(name):
    data = {"learning_curves": frames.study, "seed_scores": frames.scores, "paired_differences": frames.comparisons}
    figure = getattr(plots, name)(data.get(name, frames.pairs)(frames.many_arms(12)))
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()
    assert -0.02 < drawn.x0 < drawn.x1 < figure.get_figwidth() + 0.02
    assert -0.02 < drawn.y0 < drawn.y1 < figure.get_figheight() + 0.02
    titles = {axes.get_title(loc="left") for axes in figure.axes} - {""}
    boxes = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text() in titles]
    assert len(boxes) == len(titles)
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])


def test_an_update_in_which_no_episode_ended_shows_the_last_known_return_of_its_run():
    rows = {"arm": "a", "seed": [0, 0, 0, 1, 1, 1], "update": [1, 2, 3, 1, 2, 3], "env_steps": [4, 8, 12] * 2}
    updates = pd.DataFrame({**rows, "return_mean": [1.0, np.nan, 3.0, np.nan, 7.0, np.nan]})
    lines = [line.get_ydata() for line in plots.learning_curves(updates).axes[0].get_lines()]
    np.testing.assert_array_equal(lines[-1], [1.0, 4.0, 5.0])


def test_so_many_updates_that_a_curve_would_be_a_band_are_averaged_a_few_together():
    updates = frames.study(["a"], seeds=2, updates=401)
    figure = plots.learning_curves(updates)
    steps, mean = figure.axes[0].get_lines()[-1].get_data()
    of_first = updates[updates["update"] <= 3]
    assert len(mean) == 134  # ⌈401 / 3⌉
    assert (steps[0], mean[0]) == (3005.0, pytest.approx(of_first.groupby("seed")["return_mean"].mean().mean()))
    assert figure.axes[0].get_ylabel() == "mean return of 3 batches"
