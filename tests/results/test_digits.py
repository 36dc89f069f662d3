"""As many digits as the interval leaves: two significant ones of its half-width."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglab.results.digits import fixed, in_bytes, known_decimals, p_value, plain, with_interval

values = st.floats(-1e9, 1e9)
halves = st.floats(1e-6, 1e6)


def number(text: str) -> Decimal:
    return Decimal(text.replace("−", "-").replace(",", ""))


@given(values, halves)
def test_the_last_digit_is_the_second_of_the_half_width(value: float, half: float):
    low, high = value - half, value + half
    if high <= low:  # the half-width is lost in the value
        return
    decimals = known_decimals(low, high)
    assert decimals is not None
    assert 9.95 <= (high - low) / 2 * 10.0**decimals <= 99.501


@given(values, halves)
def test_value_and_ends_are_off_by_half_a_digit_at_most_and_stay_in_order(value: float, half: float):
    low, high = value - half, value + half
    if high <= low:
        return
    unit = Decimal(10) ** -known_decimals(low, high)
    text, ends = with_interval(value, low, high)
    written = [number(each) for each in (ends.split(" to ")[0], text, ends.split(" to ")[1])]
    for exact, rounded in zip((low, value, high), written, strict=True):
        assert abs(Decimal(repr(exact)) - rounded) <= unit / 2
        assert rounded % unit == 0
    assert written == sorted(written)


@given(st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-3), st.floats(1e-2, 1e3))
def test_all_three_have_the_same_decimals(value: float, half: float):
    text, ends = with_interval(value, value - half, value + half)
    assert len({len(each.partition(".")[2]) for each in (text, *ends.split(" to "))}) == 1


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (166.6, 69.5, 263.7, ("167", "70 to 264")),
        (31.63, 27.83, 35.43, ("31.6", "27.8 to 35.4")),
        (1234.0, 778.0, 1690.0, ("1,230", "780 to 1,690")),
        (0.5, 0.4004, 0.5996, ("0.50", "0.40 to 0.60")),  # a half-width of 0.0996 rounds to 0.10
        (-0.001, -1.2, 1.2, ("0.0", "−1.2 to 1.2")),
        (500.0, 500.0, 500.0, ("500", "500 to 500")),
        (343.3, np.nan, np.nan, ("343.3", "–")),
        (np.nan, np.nan, np.nan, ("–", "–")),
    ],
)
def test_intervals_by_hand(value, low, high, expected):
    assert with_interval(value, low, high) == expected


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.00042, ".0004"), (0.0001, ".0001"), (0.00009999, "< .0001"), (0.0, "< .0001"), (0.0234, ".023"),
     (0.3456, ".35"), (0.0996, ".10"), (0.994, ".99"), (0.996, "> .99"), (1.0, "1"), (np.nan, "–")],
)  # fmt: skip
def test_p_values_by_hand(p, expected):
    assert p_value(p) == expected


@given(st.floats(0.0001, 0.99))
def test_a_p_value_is_off_by_less_than_a_digit_of_it(p: float):
    assert abs(float(p_value(p)) - p) <= max(0.0000501, 0.0501 * p)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.9995, "0.9995"), (0.003, "0.003"), (1e-8, "0.00000001"), (100.0, "100"), (0.83123456, "0.831"),
     (12345.678, "12,346"), (-2.5, "−2.5"), (float("inf"), "∞"), (0.0, "0")],
)  # fmt: skip
def test_settings_stay_as_they_are_and_measurements_are_short(value, expected):
    assert plain(value) == expected


def test_zero_has_no_sign():
    assert fixed(-0.04, 1) == "0.0"


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (999_499, "999 kB"), (999_500, "1.00 MB"),
     (2.7e9, "2.70 GB"), (4.2e12, "4,200 GB")],
)  # fmt: skip
def test_memory_has_three_digits_and_its_unit(size, expected):
    assert in_bytes(size) == expected
