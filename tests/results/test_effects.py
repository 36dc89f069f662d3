"""Main effects and interactions of a grid are the differences that they are defined as, with SciPy's intervals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import AnovaRM
from statsmodels.stats.multitest import multipletests

from pglab.results import compare, main_effects, plots
from tests.results.made import arm_of, together

JOINT = "95 % simultaneous (Bonferroni, 5 comparisons)"
Cells = dict[tuple[str, float], list[float]]
RATES = (0.01, 0.1)
CELLS: Cells = {
    ("total", 0.01): [1.0, 2.0, 3.0],
    ("total", 0.1): [2.0, 2.0, 5.0],
    ("rtg", 0.01): [5.0, 7.0, 9.0],
    ("rtg", 0.1): [3.0, 4.0, 8.0],
}


def grid(cells: Cells, apart: bool = False) -> pd.DataFrame:
    """Arms with these scores, on the same seeds or on seeds of their own."""
    return together(
        *[
            arm_of(dict(enumerate(scores, start=100 * n * apart)), weighting=weighting, **{"optimizer.lr": lr})
            for n, ((weighting, lr), scores) in enumerate(cells.items())
        ]
    )


def made(seeds: int, rates=RATES, weightings=("total", "rtg", "gae")) -> Cells:
    rng = np.random.default_rng(seeds)
    of_seed = 3 * rng.normal(size=seeds)
    return {(w, lr): [*(of_seed + rng.normal(n, 1, seeds))] for lr in rates for n, w in enumerate(weightings)}


def rows_of(table: pd.DataFrame) -> dict[str, dict]:
    return table.set_index("level").to_dict("index")


def test_effects_are_those_reckoned_by_hand():
    table = main_effects(grid(CELLS))
    assert table[["factor", "level", "control_level"]].to_numpy().tolist() == [
        ["weighting", "rtg", "total"],
        ["optimizer.lr", "0.1", "0.01"],
        ["weighting × optimizer.lr", "rtg × 0.1", "total × 0.01"],
    ]
    # Seed by seed: ((5-1) + (3-2)) / 2, …; ((2-1) + (3-5)) / 2, …; (3-2) - (5-1), …
    by_seed = {"rtg": [2.5, 3.5, 4.5], "0.1": [-0.5, -1.5, 0.5], "rtg × 0.1": [-3, -3, -3]}
    found = rows_of(table)
    assert {level: row["effect"] for level, row in found.items()} == {"rtg": 3.5, "0.1": -0.5, "rtg × 0.1": -3.0}
    half = stats.t.isf(0.05 / 3 / 2, 2) / np.sqrt(3)  # three comparisons, 2 degrees of freedom, s = 1
    assert (found["rtg"]["low"], found["rtg"]["high"]) == pytest.approx((3.5 - half, 3.5 + half))
    assert found["0.1"]["p"] == pytest.approx(stats.ttest_1samp(by_seed["0.1"], 0).pvalue)
    assert (found["rtg × 0.1"]["low"], found["rtg × 0.1"]["high"]) == (-np.inf, np.inf)
    assert found["rtg"]["interval"] == "95 % simultaneous (Bonferroni, 3 comparisons) Student-t on differences"
    assert found["rtg"]["p_bonferroni"] == pytest.approx(3 * found["rtg"]["p"])
    assert (table["n"].unique().tolist(), table["paired"].all(), table["left_out"].sum()) == ([3], True, 0)
    assert set(table["unit"]) == {"return"}


def test_a_single_factor_is_the_comparison_of_its_arms():
    for apart in (False, True):
        frame = grid(made(6, rates=(0.1,)), apart)
        effects, compared = main_effects(frame), compare(frame)
        columns = {"effect": "difference", "low": "low", "high": "high", "p": "p", "p_holm": "p_holm"}
        for column, of_comparison in columns.items():
            assert effects[column].tolist() == pytest.approx(compared[of_comparison].tolist())


def test_two_levels_on_shared_seeds_are_statsmodels_repeated_measures():
    frame = grid(made(9, weightings=("total", "rtg"))).rename(columns={"optimizer.lr": "lr"})
    table = AnovaRM(frame, "score", "seed", within=["weighting", "lr"]).fit().anova_table
    assert main_effects(frame)["p"].tolist() == pytest.approx(table["Pr > F"].tolist())


def test_seeds_that_are_not_shared_give_the_contrasts_of_least_squares():
    cells = {cell: scores[: 4 + n] for n, (cell, scores) in enumerate(made(12).items())}
    frame = grid(cells, apart=True).rename(columns={"optimizer.lr": "lr"})
    # A mean for each cell, and White's standard errors HC2, which here are s²/n of the cell.
    fitted = ols("score ~ C(arm) - 1", frame).fit(cov_type="HC2")
    sign = {"total": -1, "rtg": 1, "gae": 0}
    arms = frame.drop_duplicates("arm").sort_values("arm")
    main = [sign[w] / 2 for w in arms["weighting"]]
    both = [sign[w] * (1 if lr == 0.1 else -1) for w, lr in zip(arms["weighting"], arms["lr"], strict=True)]
    found = rows_of(main_effects(frame))
    for level, weights, n in (("rtg", main, 4 + 5 + 7 + 8), ("rtg × 0.1", both, 4 + 5 + 7 + 8)):
        expected, row = fitted.t_test(weights), found[level]
        assert row["effect"] == pytest.approx(expected.effect.item())
        v = {arm: rows["score"].var(ddof=1) / len(rows) for arm, rows in frame.groupby("arm")}
        parts = np.square(weights) * [v[arm] for arm in arms["arm"]]
        df = parts.sum() ** 2 / sum(p**2 / (m - 1) for p, m in zip(parts, frame.groupby("arm").size(), strict=True))
        assert row["high"] - row["effect"] == pytest.approx(stats.t.isf(0.05 / 5 / 2, df) * expected.sd.item())
        assert row["p"] == pytest.approx(2 * stats.t.sf(abs(expected.tvalue.item()), df))
        assert (row["paired"], row["n"], row["interval"]) == (False, n, f"{JOINT} Welch (too few seeds in all arms)")


@settings(max_examples=10)
@given(st.lists(st.floats(-10, 10), min_size=24, max_size=24), st.floats(-100, 100))
def test_interactions_ignore_what_is_added_to_a_level_and_effects_move_with_it(some: list[float], more: float):
    scores = np.reshape(some, (3, 2, 4))
    keys = [(w, lr) for w in ("total", "rtg", "gae") for lr in RATES]
    before = rows_of(main_effects(grid(dict(zip(keys, scores.reshape(6, 4).tolist(), strict=True)))))
    scores[1] += more
    after = rows_of(main_effects(grid(dict(zip(keys, scores.reshape(6, 4).tolist(), strict=True)))))
    for level, row in before.items():
        moved = more if level == "rtg" else 0.0
        assert after[level]["effect"] == pytest.approx(row["effect"] + moved, abs=1e-9)
        assert after[level]["high"] - after[level]["low"] == pytest.approx(row["high"] - row["low"], abs=1e-9)


@pytest.mark.slow
def test_intervals_hold_the_effect_in_95_of_100_grids_whatever_the_spread_of_the_cells():
    rng, held, studies = np.random.default_rng(0), np.zeros(3), 400
    for _ in range(studies):
        cells = {cell: [*rng.normal(n, 1 + 5 * n, 5)] for n, cell in enumerate(CELLS)}
        ends = main_effects(grid(cells), level=0.85)[["low", "high"]].to_numpy() - [[2.0], [1.0], [0.0]]
        held += np.prod(ends, axis=1) < 0
    assert 100 * held / studies == pytest.approx([95] * 3, abs=3)


def test_another_control_turns_an_effect_around():
    frame = grid(CELLS)
    forth, back = rows_of(main_effects(frame)), rows_of(main_effects(frame, control="weighting=rtg"))
    assert back["total"]["control_level"] == "rtg"
    assert back["total"]["effect"] == -forth["rtg"]["effect"]
    assert back["0.1"]["effect"] == forth["0.1"]["effect"]
    assert back["total × 0.1"]["effect"] == -forth["rtg × 0.1"]["effect"]


def test_factors_left_out_are_averaged():
    table = main_effects(grid(CELLS), ["weighting"])
    assert table[["level", "effect"]].to_numpy().tolist() == [["rtg", 3.5]]


def test_holms_correction_is_for_all_rows():
    table = main_effects(grid(made(7)))
    assert len(table) == 2 + 1 + 2
    assert table["p_holm"].tolist() == multipletests(table["p"], method="holm")[1].tolist()


def test_a_missing_cell_leaves_out_the_effects_that_need_it_and_names_it():
    cells = made(5)
    del cells["gae", 0.1]
    found = rows_of(main_effects(grid(cells)))
    assert not np.isnan(found["rtg"]["effect"] + found["rtg × 0.1"]["effect"])
    for level in ("gae", "0.1", "gae × 0.1"):
        assert np.isnan([found[level][key] for key in ("effect", "low", "high", "p", "p_holm")]).all()
        assert found[level]["interval"] == "none: no arm with weighting=gae, optimizer.lr=0.1"
    assert found["gae"]["left_out"] == 15
    (axes,) = plots.effects(main_effects(grid(cells))).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[1:3] == ["rtg", "gae (not known)"]


def test_a_seed_without_a_score_in_some_arm_is_left_out_and_counted():
    frame = grid(made(5, weightings=("total", "rtg")))
    frame.loc[0, "score"] = np.nan
    table = main_effects(frame)
    assert set(table["n"]) == {4}
    assert set(table["left_out"]) == {3}
    assert set(table["unscored"]) == {1}


@pytest.mark.parametrize(
    ("scores", "why"),
    [([1.0], "an arm has one score, and fewer than two"), ([np.nan, np.nan], "no score")],
)
def test_where_there_is_no_interval_there_is_a_reason(scores: list[float], why: str):
    table = main_effects(grid({**CELLS, ("rtg", 0.1): scores}))
    assert np.isnan(table[["low", "high", "p", "p_holm"]]).all(axis=None)
    assert table["interval"].str.contains(why).all()
    assert table["test"].str.startswith("none: ").all()


def test_equal_scores_on_seeds_that_are_not_shared_have_no_p():
    table = main_effects(grid({cell: [float(n)] * 3 for n, cell in enumerate(CELLS)}, apart=True))
    assert table["effect"].tolist() == [2.0, 1.0, 0.0]
    assert set(table["interval"]) == {"none: the scores of each arm are all equal"}
    assert table[["low", "high", "p"]].isna().all(axis=None)


def test_what_is_no_factor_is_refused():
    with pytest.raises(ValueError, match=r"factors are columns that describe arms: .*weighting, optimizer\.lr"):
        main_effects(grid(CELLS), ["head"])
    with pytest.raises(ValueError, match="factors are columns"):
        main_effects(grid(CELLS), [])
    with pytest.raises(ValueError, match="no arm is 'weighting=none'"):
        main_effects(grid(CELLS), control="weighting=none")


def test_a_single_arm_has_no_effects_but_every_column():
    table = main_effects(arm_of([1.0, 2.0], weighting="rtg"))
    assert len(table) == 0
    assert list(table.columns) == list(main_effects(grid(CELLS)).columns)


def test_the_figure_names_each_control_level():
    (axes,) = plots.effects(main_effects(grid(CELLS))).axes
    labels = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert labels[::2] == ["weighting against total", "optimizer.lr against 0.01", "weighting × optimizer.lr"]


def three_programs(apart: bool = False) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
    """A grid of two weightings and two baselines in which `rtg` is one program; its twins; y of each."""
    rng = np.random.default_rng(1)
    y = {name: rng.normal(mean, 1, 7) for name, mean in (("rtg", 5), ("none", 4), ("value", 8))}
    frame = together(
        arm_of(y["rtg"], weighting="rtg", baseline="none"),
        *(arm_of(y[b], weighting="gae", baseline=b) for b in ("none", "value")),
    )
    twins = pd.DataFrame([{"study": "made", "arm": "weighting=rtg,baseline=none", "baseline": "value"}])
    return frame.assign(seed=frame.groupby("arm").ngroup() * 100 * apart + frame["seed"]), twins, y


def test_an_arm_that_is_one_program_with_another_cell_is_in_both():
    frame, twins, y = three_programs()
    without = rows_of(main_effects(frame, ["weighting", "baseline"]))
    assert without["value"]["interval"].startswith("none: no arm with weighting=rtg, baseline=value")
    found = rows_of(main_effects(frame, twins=twins))
    by_hand = {
        "gae": (y["none"] + y["value"]) / 2 - y["rtg"],
        "value": (y["value"] - y["none"]) / 2,
        "gae × value": y["value"] - y["none"],
    }
    assert found.keys() == by_hand.keys()
    for level, differences in by_hand.items():
        assert found[level]["effect"] == pytest.approx(differences.mean())
        assert found[level]["p"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


def test_no_score_of_one_program_passes_for_two_where_seeds_are_not_shared():
    frame, twins, y = three_programs(apart=True)
    row = rows_of(main_effects(frame, twins=twins))["gae"]
    variance = (y["none"].var(ddof=1) / 4 + y["value"].var(ddof=1) / 4 + y["rtg"].var(ddof=1)) / 7
    assert row["n"] == 21
    parts = np.array([y["none"].var(ddof=1) / 4, y["value"].var(ddof=1) / 4, y["rtg"].var(ddof=1)]) / 7
    t = row["effect"] / np.sqrt(variance)
    assert row["p"] == pytest.approx(2 * stats.t.sf(abs(t), parts.sum() ** 2 / (parts**2 / 6).sum()))


def test_a_factor_that_makes_no_other_program_has_no_effect():
    y = {"total": [1.0, 2.0, 4.0], "rtg": [3.0, 5.0, 4.0]}
    frame = together(*[arm_of(scores, weighting=w, baseline="none") for w, scores in y.items()])
    twins = pd.DataFrame([{"study": "made", "arm": f"weighting={w},baseline=none", "baseline": "value"} for w in y])
    found = rows_of(main_effects(frame, twins=twins))
    assert found["rtg"]["effect"] == pytest.approx(5 / 3)
    for level in ("value", "rtg × value"):
        assert (found[level]["effect"], found[level]["interval"]) == (0.0, "none: all of it is one program")
