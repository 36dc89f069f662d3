"""What is said about the coverage of intervals is what simulated studies show."""

import re

import numpy as np
import pytest

from pglab.results.coverage import MEASURED, coverage_of_differences, measured, real_coverage
from pglab.results.intervals import interval_of_mean
from pglab.results.pairs import paired, unpaired
from tests.results.coverage import (
    MEANS,
    SIZES,
    SPREADS,
    arm_and_control,
    coverage_of_bca,
    coverage_of_paired,
    coverage_of_t,
    coverage_of_welch,
)

STATED_FROM = {"t": 400_000, "bca": 20_000, "paired": 400_000, "welch": 400_000}  # studies
MEASURE = {"t": coverage_of_t, "paired": coverage_of_paired, "welch": coverage_of_welch}


def agrees(shown: float, studies: int, stated: float, stated_from: int) -> bool:
    """Whether two shares, in per cent, differ by no more than four standard errors and the stated one's rounding."""
    p = stated / 100
    return abs(shown - stated) <= 400 * np.sqrt(p * (1 - p) * (1 / studies + 1 / stated_from)) + 0.05


@pytest.mark.parametrize("draw", MEANS, ids=lambda draw: draw.__name__)
def test_the_stated_coverage_of_few_scores_is_what_is_measured(draw):
    for method, coverage in MEASURE.items():
        for n in (2, 3, 5, 10):
            shown = coverage(draw, n, 20_000, seed=11)
            assert agrees(shown, 20_000, getattr(MEASURED[method][n], draw.__name__), STATED_FROM[method]), method


@pytest.mark.slow
@pytest.mark.parametrize("draw", MEANS, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("n", SIZES)
def test_all_stated_coverage_is_what_is_measured(draw, n: int):
    found = {method: (coverage(draw, n, 100_000, seed=11), 100_000) for method, coverage in MEASURE.items()}
    found["bca"] = coverage_of_bca(draw, n, 4000, seed=1), 4000
    for method, (shown, studies) in found.items():
        assert agrees(shown, studies, getattr(MEASURED[method][n], draw.__name__), STATED_FROM[method]), method


@pytest.mark.parametrize(("method", "measure"), [("t", coverage_of_t), ("bca", coverage_of_bca)])
def test_what_is_measured_are_the_intervals_of_arms(method, measure):
    for draw, mean in MEANS.items():
        scores = draw(np.random.default_rng([0, 5]), (100, 5))
        found = [interval_of_mean(study, method) for study in scores]
        held = sum(one.low <= mean <= one.high for one in found)
        assert held == pytest.approx(measure(draw, 5, 100), abs=2)  # BCa has other resamples


def test_what_is_measured_are_the_intervals_of_comparisons():
    for draw, mean in MEANS.items():
        for in_pairs, measure in ((True, coverage_of_paired), (False, coverage_of_welch)):
            arms = arm_and_control(draw, 5, 100, 0, 0.5 if in_pairs else 0.0)
            found = [paired(a - b) if in_pairs else unpaired(a, b) for a, b in zip(*arms, strict=True)]
            held = sum(one.low <= mean <= one.high for one in found)
            assert held == pytest.approx(measure(draw, 5, 100))


def test_the_simulated_scores_have_the_means_the_spreads_and_the_correlation_that_are_said():
    for draw, mean in MEANS.items():
        arm, control = arm_and_control(draw, 100, 2000, 0, 0.5)
        spread = SPREADS[draw]
        assert arm.mean() == pytest.approx(mean, abs=0.02 * spread)
        assert (arm.std(), control.std()) == pytest.approx((spread, spread / 2), rel=0.02)
        assert 0.3 < np.corrcoef(arm.ravel(), control.ravel())[0, 1] < 0.52


def test_differences_of_skewed_scores_are_covered_less_and_that_is_told():
    assert all(MEASURED[kind][10].normal == pytest.approx(95, abs=0.6) for kind in ("paired", "welch"))
    covered = MEASURED["paired"][10]
    assert max(covered[1:]) < 93
    assert coverage_of_differences(True, 12) == (
        f"With 12 pairs a 95 % Student-t interval really covers the true difference in {covered.normal} % of studies "
        f"where scores are normal, {covered.skewed} % where one arm's have a long tail of bad returns, and "
        f"{covered.ceiling} % where 60 % of them are at a ceiling (measured with 10). "
        "Simultaneous intervals fall short in the same way."
    )
    assert coverage_of_differences(False, 5).startswith("With 5 scores in each arm a 95 % Welch interval really covers")
    assert coverage_of_differences(True, 1) == "There is no interval from 1 score."


def test_students_interval_is_exact_for_normal_scores_and_no_method_reaches_95_for_all():
    assert all(tuple(table) == SIZES for table in MEASURED.values())
    assert all(covered.normal == pytest.approx(95, abs=0.2) for covered in MEASURED["t"].values())
    for table in (MEASURED["t"], MEASURED["bca"]):
        assert min(table[5]) < 95 - 1.5 < max(table[100])


def test_the_coverage_is_a_sentence_with_the_numbers_of_the_next_smaller_study():
    covered = MEASURED["t"][5]
    expected = (
        f"With 5 scores a 95 % Student-t interval really covers the true mean in {covered.normal} % of studies where "
        f"scores are normal, {covered.skewed} % where they have a long tail of bad returns, "
        f"and {covered.ceiling} % where 60 % of them are at a ceiling."
    )
    assert real_coverage("t", 5) == expected
    assert real_coverage("t", 9) == expected.replace("With 5", "With 9").replace(
        "ceiling.", "ceiling (measured with 5)."
    )
    assert "BCa bootstrap interval" in real_coverage("bca", 1000)
    assert real_coverage("bca", 1000).endswith("(measured with 100).")
    for n in range(2, 120):
        size, covered = measured("bca", n)
        assert size <= n
        assert [
            float(x) for x in re.findall(r"([\d.]+) % (?:of studies|where they|where 60)", real_coverage("bca", n))
        ] == [*covered]


def test_where_there_is_no_interval_nothing_is_covered():
    assert real_coverage("t", 1) == "There is no interval from 1 score."
    assert real_coverage("bca", 0) == "There is no interval from 0 scores."
    with pytest.raises(ValueError, match="needs 2 scores; got 1"):
        measured("t", 1)
    with pytest.raises(ValueError, match="'t', 'bca', 'paired' or 'welch'"):
        real_coverage("percentile", 5)  # pyright: ignore
