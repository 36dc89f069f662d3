"""Comparisons are the textbook's, corrected for their number, and leave no run unmentioned."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from pglab.results import compare, scores
from pglab.results.comparisons import holm
from pglab.results.pairs import Test, paired, unpaired
from tests.results.error_rates import (
    BENT,
    PERMUTED,
    SIZES,
    family_error,
    null_studies,
    p_values,
    permutation_p_values,
    some_found,
)
from tests.results.made import arm_of, together, updates_of

rng = np.random.default_rng(0)
FIRST = [450.0, 380.0, 500.0, 410.0, 470.0, 300.0, 495.0, 350.0]
SECOND = [420.0, 300.0, 500.0, 310.0, 480.0, 250.0, 430.0, 340.0]


def two(first, second) -> dict:
    """The comparison of `rtg` with the control `total`."""
    (row,) = compare(together(arm_of(second, weighting="total"), arm_of(first, weighting="rtg"))).to_dict("records")
    return row


def test_pairs_are_scipys_paired_t_test():
    row, expected = two(FIRST, SECOND), stats.ttest_rel(FIRST, SECOND)
    assert (row["paired"], row["pairs"], row["test"]) == (True, 8, "paired t")
    assert row["p"] == row["p_holm"] == pytest.approx(expected.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected.confidence_interval()))
    assert row["difference"] == pytest.approx(np.mean(FIRST) - np.mean(SECOND))
    assert row["correlation"] == pytest.approx(stats.pearsonr(FIRST, SECOND).statistic)
    assert row["effect"] == pytest.approx(expected.statistic / np.sqrt(8))  # d_z = t / √n
    assert row["p_better"] == (6 + 0.5) / 8


def test_seeds_that_are_not_shared_are_compared_by_welch():
    row = two(FIRST, dict(enumerate(SECOND[:5], start=100)))
    expected = stats.ttest_ind(FIRST, SECOND[:5], equal_var=False)
    means = CompareMeans(DescrStatsW(FIRST), DescrStatsW(SECOND[:5]))
    assert (row["paired"], row["pairs"], row["n"], row["n_control"], row["test"]) == (False, 0, 8, 5, "Welch's t")
    assert row["p"] == pytest.approx(expected.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(means.tconfint_diff(usevar="unequal"))
    assert row["p_better"] == stats.mannwhitneyu(FIRST, SECOND[:5]).statistic / 40
    sizes = effectsize_smd(np.mean(FIRST), np.std(FIRST, ddof=1), 8, np.mean(SECOND[:5]), np.std(SECOND[:5], ddof=1), 5)
    assert row["effect"] == pytest.approx(sizes[0], rel=2e-3)  # statsmodels has an approximation of Γ/Γ
    assert np.isnan(row["correlation"])


def test_hedges_g_is_unbiased_where_the_pooled_d_is_not():
    draws = np.random.default_rng(0).normal(size=(1000, 2, 4)) + np.array([[1.0], [0.0]])
    assert np.mean([unpaired(a, b).effect for a, b in draws]) == pytest.approx(1, abs=0.07)  # d would be 1.15


def test_one_shared_seed_makes_no_pairs_and_two_do():
    assert not two(FIRST, {7: 1.0, 8: 2.0, 9: 5.0})["paired"]
    row = two(FIRST, {6: 1.0, 7: 2.5, 8: 2.0})
    assert (row["paired"], row["pairs"], row["left_out"]) == (True, 2, 7)
    assert "7 runs left out for want of a partner" in row["verdict"]


@settings(max_examples=10)
@given(st.lists(st.integers(-9, 9), min_size=3, max_size=9).filter(lambda some: len(set(some)) > 1))
def test_the_sign_flip_test_counts_all_signs(differences: list[int]):
    frame = together(arm_of([0.0] * len(differences), weighting="total"), arm_of(differences, weighting="rtg"))
    (row,) = compare(frame, test="permutation").to_dict("records")
    signs = np.array(np.meshgrid(*[(-1, 1)] * len(differences))).reshape(len(differences), -1)
    sums = signs.T @ np.array(differences)
    tail = min(np.mean(sums >= sum(differences)), np.mean(sums <= sum(differences)))
    assert row["p"] == pytest.approx(min(1, 2 * tail))
    assert row["test"].startswith("sign-flip permutation, exact")


@pytest.mark.parametrize(("n", "p"), [(5, 0.0625), (6, 0.03125)])
def test_a_sign_flip_test_needs_six_pairs(n: int, p: float):
    frame = together(arm_of([0.0] * n, weighting="total"), arm_of([*range(1, n + 1)], weighting="rtg"))
    (row,) = compare(frame, test="permutation").to_dict("records")
    assert row["p"] == p
    assert ("5 pairs cannot give p < .05, 6 can" in row["test"]) == (n == 5)


@pytest.mark.parametrize(
    ("n", "comparisons", "said", "why"),
    [
        (5, 1, "exact: 5 pairs cannot give p < .05, 6 can", "so few scores"),
        (13, 205, "exact: 13 pairs cannot give p < .00024", "so few scores"),
        (14, 205, "9,999 flips: so many cannot give p < .00024", "so few permutations"),
        (14, 5, "9,999 flips", ""),
    ],
)
def test_what_limits_a_sign_flip_test_is_told(n: int, comparisons: int, said: str, why: str):
    found = paired(np.arange(50.0, 50 + n), "permutation", 0.05 / comparisons)
    assert found.test == f"sign-flip permutation, {said}"
    assert np.isinf(found.low) == bool(why)
    assert found.said.endswith(f", without ends, for {why} can exclude nothing" if why else "permutation")


def test_holms_correction_is_statsmodels_and_counts_only_comparisons_that_have_a_p():
    arms = [arm_of(rng.normal(k / 3, 1, size=9), weighting=f"w{k}") for k in range(5)]
    table = compare(together(*arms, arm_of([1.0], weighting="one")))
    tested = table[table["p"].notna()]
    assert tested["p_holm"].tolist() == multipletests(tested["p"], method="holm")[1].tolist()
    assert set(table["comparisons"]) == {4}
    assert table[table["p"].isna()]["p_holm"].isna().all()


@settings(max_examples=5)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_is_statsmodels_to_the_bit(p: list[float]):
    assert holm(np.array(p)).tolist() == multipletests(p, method="holm")[1].tolist()


def test_all_pairs_on_demand():
    arms = together(*[arm_of(rng.normal(size=4), weighting=name) for name in "abcd"])
    assert len(compare(arms)) == 3
    table = compare(arms, all_pairs=True)
    assert len({frozenset(pair) for pair in zip(table["arm"], table["control"], strict=True)}) == len(table) == 6
    with pytest.raises(ValueError, match="either all pairs or a control"):
        compare(arms, control="a", all_pairs=True)


def grid() -> list:
    return [
        arm_of(rng.normal(size=4), weighting=w, **{"optimizer.lr": lr}) for lr in (0.01, 0.1) for w in ("total", "rtg")
    ]


def test_a_control_of_a_grid_is_the_one_that_is_otherwise_alike():
    table = compare(together(*grid()), control="weighting=total")
    assert table["control"].tolist() == ["weighting=total,optimizer.lr=0.01", "weighting=total,optimizer.lr=0.1"]
    assert table["alike"].tolist() == ["lr=0.01", "lr=0.1"]
    assert set(table["label"]) == {"rtg"}


@pytest.mark.parametrize("control", ["weighting=rtg,optimizer.lr=0.10", "weighting=rtg, optimizer.lr=0.1"])
def test_a_control_is_found_by_its_choices(control: str):
    table = compare(together(*grid()), control=control)
    assert set(table["control"]) == {"weighting=rtg,optimizer.lr=0.1"}
    assert len(table) == 3


@pytest.mark.parametrize(("control", "said"), [("weighting=gae", "no arm is"), ("gae", "there are: ")])
def test_a_control_that_is_none_is_named(control: str, said: str):
    with pytest.raises(ValueError, match=said):
        compare(together(*grid()), control=control)


def test_fewer_steps_to_a_threshold_are_better():
    runs = {("total", s): ("finished", [0.0] * (5 + s % 2) + [9.0]) for s in range(6)}
    runs |= {("rtg", s): ("finished", [0.0] * (1 + s % 3) + [9.0]) for s in range(6)}
    (row,) = compare(scores(updates_of(runs), how="steps_to", threshold=9.0)).to_dict("records")
    assert (row["difference"], row["p_better"]) == (-35.0, 1.0)
    assert row["verdict"].startswith("rtg beats total by 35 ± 11 fewer environment steps (6 paired seeds")


def test_equal_differences_are_tested_by_their_signs():
    row = two([5.0] * 7, [3.0] * 7)
    assert (row["difference"], row["low"], row["high"], row["p"]) == (2.0, 2.0, 2.0, 2 / 2**7)
    assert "all 7 differences are equal" in row["test"]
    assert two([5.0] * 7, [5.0] * 7)["p"] == 1
    apart = two([5.0] * 4, dict.fromkeys(range(10, 14), 3.0))
    assert apart["p"] == pytest.approx(2 / 70)
    assert two([5.0] * 4, dict.fromkeys(range(10, 14), 5.0))["p"] == 1


@pytest.mark.parametrize(("first", "second"), [([1.0], [2.0]), ([1.0, 2.0, 3.0], {9: 4.0}), ([], [1.0])])
def test_too_few_seeds_have_no_p_and_a_reason(first, second):
    frame = together(arm_of([1.0, 4.0], weighting="gae"), arm_of(second, weighting="total"))
    if len(first):
        frame = together(frame, arm_of(first, weighting="rtg"))
    row = compare(frame, control="total").to_dict("records")[-1]
    assert np.isnan(row["p"])
    assert row["verdict"].startswith("too few seeds to judge")
    assert "scores" in row["test"]


@pytest.mark.parametrize("test", ["t", "permutation"])
def test_two_pairs_do_not_break_it(test):
    frame = together(arm_of([1.0, 2.0], weighting="total"), arm_of([2.0, 5.0], weighting="rtg"))
    (row,) = compare(frame, test=test).to_dict("records")
    assert 0 < row["p"] <= 1
    assert np.isnan(row["correlation"])  # of two pairs it is ±1 and says nothing


def test_a_single_arm_has_no_comparisons_but_every_column():
    one = compare(arm_of([1.0, 2.0], weighting="total"))
    assert len(one) == 0
    assert list(one.columns) == list(compare(together(*grid())).columns)


def test_runs_that_failed_or_diverged_are_mentioned():
    runs = {(arm, s): ("finished", [float(s) + (arm == "rtg")]) for arm in ("total", "rtg") for s in range(4)}
    runs |= {("rtg", 3): ("diverged", [1.0]), ("total", 4): ("failed", [1.0]), ("rtg", 4): ("finished", [1.0])}
    (row,) = compare(scores(updates_of(runs))).to_dict("records")
    assert (row["pairs"], row["left_out"], row["unscored"], row["diverged"]) == (4, 1, 1, 1)
    said = "1 run left out for want of a partner; 1 run without a score; 1 run diverged)"
    assert row["verdict"].endswith(said)


def test_arms_that_trained_for_unlike_numbers_of_steps_are_said_to():
    frame = together(arm_of(SECOND, weighting="total"), arm_of(FIRST, env_steps=2000, weighting="rtg"))
    assert "at 2,000 and 1,000 steps" in compare(frame)["verdict"][0]


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_pairs_narrow_the_interval_as_the_correlation_predicts(correlation: float):
    spread = np.array([[1, correlation], [correlation, 1]])
    draws = np.random.default_rng(0).multivariate_normal([0, 0], spread, size=(100, 40))
    in_pairs = np.mean([(one.high - one.low) ** 2 for one in (paired(study[:, 0] - study[:, 1]) for study in draws)])
    apart = np.mean([(one.high - one.low) ** 2 for one in (unpaired(*study.T) for study in draws)])
    quantiles = stats.t.ppf(0.975, 39) ** 2 / stats.t.ppf(0.975, 78) ** 2
    assert in_pairs / apart == pytest.approx((1 - correlation) * quantiles, rel=0.1)


def test_holm_finds_something_exactly_where_the_simulation_counts_it():
    p = np.random.default_rng(0).uniform(0, 0.05, size=(40, 5))
    p[:10, 3] = np.nan
    assert [np.nanmin(holm(row)) < 0.05 for row in p] == some_found(p).tolist()
    assert 0 < some_found(p).mean() < 1


@pytest.mark.parametrize("bent", BENT)
@pytest.mark.parametrize("in_pairs", [True, False])
def test_at_most_a_twentieth_of_tables_are_wrong_where_nothing_differs(bent: str, in_pairs: bool):
    for n in SIZES:
        assert family_error(bent, n, 5000, in_pairs) <= 5.5


@pytest.mark.parametrize("bent", BENT)
@pytest.mark.parametrize(("in_pairs", "n"), PERMUTED)
def test_at_most_a_twentieth_of_tables_of_permutation_tests_are_wrong(bent: str, in_pairs: bool, n: int):
    assert family_error(bent, n, 5000, in_pairs, permutation_p_values) <= 5.5


def table_of(study: np.ndarray, in_pairs: bool, test: Test) -> pd.DataFrame:
    """The comparisons of arms `[arms, n]`, on the same seeds or on seeds of their own."""
    starts = [0 if in_pairs else 100 * k for k in range(len(study))]
    scores = [dict(enumerate(arm, start=start)) for arm, start in zip(study, starts, strict=True)]
    return compare(together(*[arm_of(arm, weighting=f"w{k}") for k, arm in enumerate(scores)]), test=test)


@pytest.mark.parametrize("bent", BENT)
@pytest.mark.parametrize(("in_pairs", "n"), PERMUTED)
def test_the_simulated_p_values_of_permutations_are_those_of_compare(bent: str, in_pairs: bool, n: int):
    (study,) = studies = null_studies(bent, n, 1, 0.5 if in_pairs else 0.0)
    expected = permutation_p_values(studies[:, 1:], studies[:, :1], in_pairs)
    assert table_of(study, in_pairs, "permutation")["p"].tolist() == pytest.approx(expected[0].tolist())


@pytest.mark.slow
@pytest.mark.parametrize("in_pairs", [True, False])
def test_the_simulated_p_values_are_those_of_compare(in_pairs: bool):
    studies = null_studies("ceiling", 10, 40, 0.5)
    expected = p_values(studies[:, 1:], studies[:, :1], in_pairs)
    assert np.array([table_of(study, in_pairs, "t")["p"] for study in studies]) == pytest.approx(expected)
