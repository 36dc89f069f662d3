"""What is said about the coverage of intervals is what simulated studies show."""

import re

import numpy as np
import pytest

from pglab.results.coverage import MEASURED, measured, real_coverage
from pglab.results.intervals import interval_of_mean
from tests.results.coverage import MEANS, SIZES, coverage_of_bca, coverage_of_t

STATED_FROM = {"t": 400_000, "bca": 20_000}  # studies


def agrees(shown: float, studies: int, stated: float, stated_from: int) -> bool:
    """Whether two shares, in per cent, differ by no more than four standard errors and the stated one's rounding."""
    p = stated / 100
    return abs(shown - stated) <= 400 * np.sqrt(p * (1 - p) * (1 / studies + 1 / stated_from)) + 0.05


@pytest.mark.parametrize("draw", MEANS, ids=lambda draw: draw.__name__)
def test_the_stated_coverage_of_few_scores_is_what_is_measured(draw):
    for n in (2, 3, 5, 10):
        shown = coverage_of_t(draw, n, 20_000, seed=1)
        assert agrees(shown, 20_000, getattr(MEASURED["t"][n], draw.__name__), STATED_FROM["t"])


@pytest.mark.slow
@pytest.mark.parametrize("draw", MEANS, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("n", SIZES)
def test_all_stated_coverage_is_what_is_measured(draw, n: int):
    for method, shown, studies in (
        ("t", coverage_of_t(draw, n, 100_000, seed=1), 100_000),
        ("bca", coverage_of_bca(draw, n, 4000, seed=1), 4000),
    ):
        assert agrees(shown, studies, getattr(MEASURED[method][n], draw.__name__), STATED_FROM[method]), method


@pytest.mark.parametrize(("method", "measure"), [("t", coverage_of_t), ("bca", coverage_of_bca)])
def test_what_is_measured_are_the_intervals_of_arms(method, measure):
    for draw, mean in MEANS.items():
        scores = draw(np.random.default_rng([0, 5]), (100, 5))
        found = [interval_of_mean(study, method) for study in scores]
        held = sum(one.low <= mean <= one.high for one in found)
        assert held == pytest.approx(measure(draw, 5, 100), abs=2)  # BCa has other resamples


def test_students_interval_is_exact_for_normal_scores_and_no_method_reaches_95_for_all():
    assert tuple(MEASURED["t"]) == tuple(MEASURED["bca"]) == SIZES
    assert all(covered.normal == pytest.approx(95, abs=0.2) for covered in MEASURED["t"].values())
    for table in MEASURED.values():
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
    with pytest.raises(ValueError, match="'t' or 'bca'"):
        real_coverage("percentile", 5)  # pyright: ignore
