"""Effects that were put into a grid are found in it, and no others."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pglab.results import anova, compare, describe_arms, effect_across, main_effects
from tests.results.made import arm_of, together

RATES = (0.01, 0.03, 0.1)


def grid(effects: dict[float, float], seeds: int = 12) -> pd.DataFrame:
    """`total` and `rtg` at learning rates, `rtg` better by as much; seeds with an effect of their own."""
    rng = np.random.default_rng(0)
    of_seed = 3 * rng.normal(size=seeds)
    return together(
        *[
            arm_of(of_seed + better * (w == "rtg") + rng.normal(size=seeds), weighting=w, **{"optimizer.lr": lr})
            for lr, better in effects.items()
            for w in ("total", "rtg")
        ]
    )


def rows_of(table: pd.DataFrame) -> dict:
    return table.set_index("term").to_dict("index")


def test_one_factor_without_shared_seeds_is_scipys_f_test():
    arms = [np.random.default_rng(k).normal(size=5 + k) for k in range(3)]
    seeds = np.cumsum([0, 5, 6])
    frame = together(
        *[arm_of(dict(enumerate(a, start=s)), weighting=f"w{s}") for a, s in zip(arms, seeds, strict=True)]
    )
    found, expected = rows_of(anova(frame)), stats.f_oneway(*arms)
    assert (found["weighting"]["F"], found["weighting"]["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert found["residual"]["df"] == 15
    assert "seed" not in found
    assert not found["weighting"]["balanced"]


def test_two_arms_with_shared_seeds_are_the_paired_t_test():
    frame = grid({0.01: 1.0})
    row = rows_of(anova(frame))["weighting"]
    expected = stats.ttest_rel(*[runs["score"] for _, runs in frame.groupby("arm")])
    assert (row["F"], row["p"]) == pytest.approx((expected.statistic**2, expected.pvalue))
    assert row["partial_eta_sq"] == pytest.approx(expected.statistic**2 / (expected.statistic**2 + 11))


def test_a_balanced_grid_is_cut_up_by_hand():
    frame = grid(dict(zip(RATES, (2.0, 1.0, 0.0), strict=True)))
    found = rows_of(anova(frame))
    cells = np.array(frame["score"]).reshape(3, 2, 12)  # rate, weighting, seed
    of_cell, of_all = cells.mean(axis=2), cells.mean()
    main = 36 * ((of_cell.mean(axis=0) - of_all) ** 2).sum()
    both = 12 * ((of_cell - of_cell.mean(axis=0) - of_cell.mean(axis=1, keepdims=True) + of_all) ** 2).sum()
    assert found["weighting"]["sum_sq"] == pytest.approx(main)
    assert found["weighting × optimizer.lr"]["sum_sq"] == pytest.approx(both)
    assert [found[term]["df"] for term in found] == [1, 2, 2, 11, 55]
    assert list(found) == ["weighting", "optimizer.lr", "weighting × optimizer.lr", "seed", "residual"]
    assert found["weighting"]["balanced"]
    three = rows_of(anova(frame, sums="III"))
    assert three["weighting"]["F"] == pytest.approx(found["weighting"]["F"])


def test_types_of_sums_of_squares_part_where_the_grid_is_not_balanced():
    frame = grid(dict(zip(RATES, (4.0, 1.0, 0.0), strict=True)))
    frame = frame.drop(index=range(0, 7))
    two, three = rows_of(anova(frame)), rows_of(anova(frame, sums="III"))
    assert not two["weighting"]["balanced"]
    assert two["weighting"]["F"] != pytest.approx(three["weighting"]["F"], rel=1e-3)
    assert two["weighting × optimizer.lr"]["F"] == pytest.approx(three["weighting × optimizer.lr"]["F"])


def test_a_grid_with_an_empty_cell_has_main_effects_only_and_says_so():
    table = anova(grid(dict.fromkeys(RATES, 1.0)).iloc[:-12])
    assert list(table["term"]) == ["weighting", "optimizer.lr", "seed", "residual"]
    assert set(table["note"]) == {"cells without scores, or one score a cell: main effects only"}
    assert not table["balanced"].any()


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_do_not_break_it(seeds: int):
    frame = grid(dict.fromkeys(RATES, 1.0), seeds)
    assert "weighting" in set(anova(frame)["term"])
    assert len(effect_across(frame, "weighting")) == 3


def test_equal_and_failed_scores_give_a_reason():
    equal = grid(dict.fromkeys(RATES, 0.0)).assign(score=500.0)
    assert set(anova(equal)["note"]) == {"the scores have no spread within cells"}
    some = grid(dict.fromkeys(RATES, 0.0))
    some.loc[3, "score"] = np.nan
    assert set(anova(some)["left_out"]) == {1}
    assert set(anova(some.assign(score=np.nan))["note"]) == {"too few scores, or factors that go together"}


def test_a_score_that_is_infinite_is_refused():
    some = grid(dict.fromkeys(RATES, 0.0))
    some.loc[4, "score"] = np.inf
    for ask in (anova, main_effects, compare, describe_arms, lambda frame: effect_across(frame, "weighting")):
        with pytest.raises(ValueError, match="a score is infinite"):
            ask(some)


def test_a_factor_that_is_none_is_named():
    frame = grid({0.01: 1.0})
    with pytest.raises(ValueError, match="factors are columns"):
        anova(frame, ["head"])
    with pytest.raises(ValueError, match="no factor of these arms"):
        effect_across(frame, "optimizer.lr")
    with pytest.raises(ValueError, match="no level 'gae'"):
        effect_across(frame, "weighting", control="gae")


def test_an_effect_that_changes_over_two_rates_is_a_paired_t_test_of_its_differences():
    frame = grid({0.01: 2.0, 0.1: 0.0})
    table = effect_across(frame, "weighting", control="total")
    cells = np.array(frame["score"]).reshape(2, 2, 12)
    expected = stats.ttest_rel(*(cells[:, 1] - cells[:, 0]))
    assert table["interaction_p"].tolist() == pytest.approx([expected.pvalue] * 2)
    assert table["difference"].tolist() == pytest.approx((cells[:, 1] - cells[:, 0]).mean(axis=1).tolist())
    assert table["stratum"].tolist() == ["optimizer.lr=0.01", "optimizer.lr=0.1"]
    assert table["answer"][0].startswith("the effect of weighting (rtg − total) is not the same everywhere: ")


def test_an_effect_that_holds_is_not_said_to_change():
    table = effect_across(grid(dict.fromkeys(RATES, 2.0)), "weighting", control="total")
    assert table["answer"][0].startswith("the data do not show that the effect of weighting (rtg − total) changes: ")
    assert (table["p_holm"] < 0.05).all()


def test_a_change_is_claimed_in_one_of_twenty_grids_without_one():
    rng = np.random.default_rng(1)
    effects = rng.normal(size=(4000, 2, 8)) * np.array([[0.2], [3.0]])  # unlike spread at the two rates
    p = stats.ttest_rel(effects[:, 0], effects[:, 1], axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.01)


def test_a_missing_seed_leaves_the_seeds_that_every_cell_has():
    frame = grid(dict.fromkeys(RATES, 1.0)).drop(index=5)
    assert "on differences of 11 seeds" in effect_across(frame, "weighting")["interaction_test"][0]


def test_seeds_that_are_not_shared_leave_the_interaction_of_the_scores():
    frame = grid({0.01: 2.0, 0.1: 0.0})
    frame["seed"] = range(len(frame))
    (p,) = set(effect_across(frame, "weighting")["interaction_p"])
    assert p == pytest.approx(rows_of(anova(frame))["weighting × optimizer.lr"]["p"])


def test_strata_with_two_common_seeds_are_tested_by_the_scores_of_all():
    one, other = grid({0.01: 1.0}, 10), grid({0.1: 1.0}, 10)
    frame = together(one, other.assign(seed=other["seed"] + 8))
    assert set(effect_across(frame, "weighting")["interaction_test"].str.partition(" = ")[0]) == {"F(1, 19)"}
    assert effect_across(frame, "weighting")["interaction_test"][0].endswith(" on scores")


@pytest.mark.parametrize("seeds", [2, 5, 6])
def test_an_interaction_is_judged_by_the_seeds_of_its_test(seeds: int):
    frame = grid({0.01: 20.0, 0.1: -20.0}, 12)
    frame.loc[(frame["seed"] >= seeds) & (frame["weighting"] == "total") & (frame["optimizer.lr"] == 0.1), "score"] = (
        np.nan
    )
    table = effect_across(frame, "weighting", control="total")
    assert table["interaction_p"][0] < 0.05 or seeds == 2
    assert f"on differences of {seeds} seeds" in table["interaction_test"][0]
    assert ("is not the same everywhere" in table["answer"][0]) == (seeds >= 6)
    assert (f"({seeds} seeds in every arm; a verdict takes 6)" in table["answer"][0]) == (seeds < 6)


def test_arms_most_of_whose_runs_diverged_leave_no_verdict_on_an_effect():
    frame = grid({0.01: 20.0, 0.1: -20.0}, 12)
    lost = (frame["seed"] < 7) & (frame["weighting"] == "rtg") & (frame["optimizer.lr"] == 0.1)
    answer = effect_across(frame.assign(status=frame["status"].mask(lost, "diverged")), "weighting", control="total")
    assert answer["answer"][0].startswith("no verdict on whether the effect of weighting (rtg − total) holds, for rtg ")
    assert " for rtg diverged in 7 of 12 runs at optimizer.lr=0.1: " in answer["answer"][0]


def test_an_arm_without_control_is_named():
    frame = grid({0.01: 1.0, 0.1: 1.0})
    frame = frame[frame["arm"] != "weighting=total,optimizer.lr=0.1"]
    table = effect_across(frame, "weighting", control="total")
    assert len(table) == 1
    assert set(table["without_control"]) == {"made/weighting=rtg,optimizer.lr=0.1"}
    assert "there is one stratum" in table["answer"][0]
