"""A verdict never contradicts its interval, however many comparisons there are and whatever the test is."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pglab.results import compare, effect_across, main_effects
from pglab.results.pairs import Test
from pglab.results.permutations import exchanges, sign_flips
from tests.results.error_rates import welch
from tests.results.made import arm_of, together

NUMBER = r"(−?[\d,.]+)"
numbers = st.lists(st.integers(-20, 20), min_size=2, max_size=9)
TESTS: tuple[Test, ...] = ("t", "permutation")


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def frame_of(arms: int, seeds: int, apart: bool, spread: float, kind: str, seed: int, censored: float) -> pd.DataFrame:
    """Arms ever further from the first one, with the scores of this kind."""
    rng, frames = np.random.default_rng(seed), []
    of_seed = rng.normal(size=seeds)
    for place in range(arms):
        scores = place * spread + of_seed + rng.normal(size=seeds)
        if kind == "whole":
            scores = np.round(scores)
        if kind == "ceiling":
            scores = np.minimum(scores, 1.0)
        if kind == "equal":
            scores = np.full(seeds, float(place % 2))
        arm = arm_of(dict(enumerate(scores, start=100 * place * apart)), weighting=f"w{place}")
        if censored:
            arm = arm.assign(score=10 + arm["score"], reached=pd.array(rng.random(seeds) > censored, dtype="boolean"))
        frames.append(arm)
    return together(*frames)


frames = st.builds(
    frame_of,
    arms=st.integers(2, 21),
    seeds=st.integers(2, 9),
    apart=st.booleans(),
    spread=st.sampled_from([0.0, 0.1, 0.5, 3.0]),
    kind=st.sampled_from(["normal", "whole", "ceiling", "equal"]),
    seed=st.integers(0, 10**6),
    censored=st.sampled_from([0.0, 0.0, 0.4]),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(frames, st.sampled_from(TESTS), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_winner_is_named_exactly_where_enough_seeds_exclude_0(frame: pd.DataFrame, test: Test, level: float):
    table = compare(frame, test=test, level=level)
    for row in table.to_dict("records"):
        excludes = row["low"] > 0 or row["high"] < 0
        enough = min(row["n"], row["n_control"]) >= 6
        assert (" beats " in row["verdict"]) == (excludes and enough)
        assert np.isnan(row["p"]) == np.isnan(row["low"])
        if np.isnan(row["p"]):
            continue
        decided = min(1, row["comparisons"] * row["p"])
        assert row["p_bonferroni"] == pytest.approx(decided)
        if abs(decided - (1 - level)) > 1e-9:
            assert (decided < 1 - level) == excludes
        assert row["p_holm"] <= row["p_bonferroni"]
        assert row["low"] <= row["difference"] <= row["high"] or row["low"] == pytest.approx(row["high"])
        if excludes and enough:
            first = re.search(r"(\w+) beats", row["verdict"])
            assert first is not None
            assert (first[1] == row["label"]) == (row["low"] > 0)


@settings(max_examples=25)
@given(frames, st.sampled_from(TESTS))
def test_the_numbers_as_printed_exclude_0_exactly_where_a_winner_is_named(frame: pd.DataFrame, test: Test):
    for verdict in compare(frame, test=test)["verdict"]:
        beats, printed = " beats " in verdict, verdict.partition(": ")[2] or verdict
        if "too few seeds" in verdict:
            assert not beats
        elif found := re.search(f"{NUMBER} ± {NUMBER}", verdict):
            value, half = map(number, found.groups())
            assert (abs(value) > half) == beats
        elif found := re.search(rf"\({NUMBER} to {NUMBER}\)", verdict):
            low, high = map(number, found.groups())
            assert (low > 0 or high < 0) == beats
        elif "no interval limits" in printed:
            assert not beats


def grid(seeds: int, apart: bool, spread: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    arms = [(w, lr) for lr in (0.01, 0.1) for w in ("total", "rtg", "gae")]
    return together(
        *[
            arm_of(
                dict(enumerate(spread * (w == "rtg") + rng.normal(size=seeds), start=100 * n * apart)),
                **{"weighting": w, "optimizer.lr": str(lr)},  # pyright: ignore[reportArgumentType]
            )
            for n, (w, lr) in enumerate(arms)
        ]
    )


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(2, 8), st.booleans(), st.sampled_from([0.0, 2.0, 5.0]), st.integers(0, 10**6))
def test_effects_of_grids_exclude_0_exactly_where_their_p_is_small(seeds: int, apart: bool, spread: float, seed: int):
    frame = grid(seeds, apart, spread, seed)
    for table in (main_effects(frame), effect_across(frame, "weighting")):
        known = table["p"].notna().sum()
        assert table["p_bonferroni"].tolist() == pytest.approx(np.minimum(1, known * table["p"]).tolist())
        assert ((table["p_bonferroni"] < 0.05) == ((table["low"] > 0) | (table["high"] < 0))).all()
        assert table["interval"].str.startswith(f"95 % simultaneous (Bonferroni, {known} comparisons) ").all()


def test_one_comparison_has_its_own_interval_and_many_have_wider_ones():
    frame = frame_of(6, 8, False, 0.5, "normal", 0, 0.0)
    two = compare(frame[frame["weighting"].isin(["w0", "w1"])]).iloc[0]
    many = compare(frame).iloc[0]
    assert two["interval"] == "95 % Student-t on differences"
    assert many["interval"] == "95 % simultaneous (Bonferroni, 5 comparisons) Student-t on differences"
    quantiles = stats.t.isf([0.05 / 2, 0.01 / 2], 7)
    assert (many["high"] - many["low"]) / (two["high"] - two["low"]) == pytest.approx(quantiles[1] / quantiles[0])
    assert "Bonferroni p" in many["verdict"]
    assert "of 5 comparisons" in many["verdict"]


@settings(max_examples=25)
@given(numbers.filter(lambda some: len(set(some)) > 1))
def test_the_p_of_sign_flips_is_scipys(differences: list[int]):
    d = np.array(differences, dtype=float)
    expected = stats.permutation_test((d,), np.mean, permutation_type="samples", vectorized=True, n_resamples=9999)
    assert sign_flips(d).p == pytest.approx(expected.pvalue)


@settings(max_examples=20)
@given(numbers, numbers)
def test_the_p_of_exchanges_is_scipys(first: list[int], second: list[int]):
    a, b = np.array(first[:6], dtype=float), np.array(second[:6], dtype=float)
    expected = stats.permutation_test((a, b), welch, vectorized=True, n_resamples=9999)
    assert exchanges(a, b).p == pytest.approx(expected.pvalue)


def test_the_interval_of_sign_flips_by_hand():
    # The means of the subsets of 1, 2, 4 and nothing: of 8 the two smallest are -∞ and 1, the largest ∞ and 4.
    assert sign_flips(np.array([1.0, 2.0, 4.0]), 0.3)[1:3] == (1.0, 4.0)
    assert sign_flips(np.array([1.0, 2.0, 4.0]), 0.25)[1:3] == (-np.inf, np.inf)
    assert sign_flips(np.full(3, 2.0), 0.3)[1:3] == (2.0, 2.0)


@settings(max_examples=25)
@given(numbers, st.sampled_from([0.05, 0.2, 0.5]), st.integers(-25, 25))
def test_sign_flips_reject_a_centre_exactly_where_it_is_outside_the_interval(
    some: list[int], alpha: float, centre: int
):
    d = np.array(some, dtype=float)
    inside = sign_flips(d, alpha).low <= centre <= sign_flips(d, alpha).high
    assert inside == (sign_flips(d - centre).p >= alpha)


@settings(max_examples=25)
@given(numbers, numbers, st.sampled_from([0.05, 0.2]))
def test_exchanges_do_not_reject_the_ends_of_their_interval_and_reject_beyond(first, second, alpha: float):
    a, b = np.array(first, dtype=float), np.array(second, dtype=float)
    found = exchanges(a, b, alpha)
    for end, way in ((found.low, -1), (found.high, 1)):
        if np.isfinite(end):
            assert exchanges(a - end - way * 1e-3, b).p < alpha
            assert exchanges(a - end + way * 1e-6 * (found.high > found.low), b).p >= alpha
        else:
            assert exchanges(a - way * 1e6, b).p >= alpha


@pytest.mark.slow
@pytest.mark.parametrize("in_pairs", [True, False])
def test_intervals_of_permutations_hold_the_difference_in_95_of_100_studies(in_pairs: bool):
    rng, held, studies = np.random.default_rng(0), 0, 400
    for _ in range(studies):
        a, b = rng.normal(3, 1, 8), rng.normal(0, 1, 8 if in_pairs else 7)
        found = sign_flips(a - b) if in_pairs else exchanges(a, b)
        held += found.low <= 3 <= found.high
    assert held / studies == pytest.approx(0.95, abs=0.03)


def test_many_pairs_are_flipped_the_same_way_every_time():
    d = np.random.default_rng(0).normal(0.5, 1, 40)
    assert sign_flips(d) == sign_flips(d)
    assert "9,999 flips" in sign_flips(d).said
    assert sign_flips(d).low == pytest.approx(stats.ttest_1samp(d, 0).confidence_interval().low, abs=0.1)
    assert exchanges(d, d[:25] - 1) == exchanges(d, d[:25] - 1)
