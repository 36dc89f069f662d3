"""Numbers with as many digits as are known, as text."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial

MINUS = "−"
NOTHING = "–"
NARROW = 5e-16  # half a width, as a share of the ends, that is rounding alone
MOST_MORE = 10  # decimals beyond those that are known
UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
SHORT = 5  # digits; a number that needs no more is taken for a setting and left as it is


def known_decimals(low: float, high: float) -> int | None:
    """Decimals that an interval leaves: up to the second significant digit of its half-width.

    Negative where tens or hundreds are uncertain already; None for an interval of no width but rounding, or none
    at all.
    """
    half = (high - low) / 2
    if not math.isfinite(half) or half <= NARROW * max(abs(low), abs(high)):
        return None
    return 1 - Decimal(f"{half:.1e}").adjusted()


def with_interval(value: float, low: float, high: float) -> tuple[str, str]:
    """A value and its interval with the digits that the interval leaves: `("167", "70 to 264")`.

    Where the interval has no width it is written like the value, by `plain`; where an end is
    missing it is left out. There are more digits where an end that is not 0 would else look like it.
    """
    decimals = known_decimals(low, high)
    if decimals is not None:
        decimals = _clear_of_zero(decimals, lambda x: all(x(end) != 0 for end in (low, high) if end))
    texts = [_to(x, decimals) for x in (value, low, high)]
    return texts[0], NOTHING if math.isnan(low) or math.isnan(high) else f"{texts[1]} to {texts[2]}"


def with_error(value: float, half: float) -> str:
    """A value and half its interval, in a sentence: `41 ± 12`.

    There are more digits where the interval would else look as if it held 0 and does not, or the other way round.
    """
    decimals, apart = known_decimals(-half, half), abs(value) > half
    if decimals is not None:
        decimals = _clear_of_zero(decimals, lambda x: (abs(x(value)) > x(half)) == apart)
    return f"{_to(value, decimals)} ± {_to(half, decimals)}"


def _clear_of_zero(decimals: int, clear: Callable[[Callable[[float], Decimal]], bool]) -> int:
    """The fewest decimals, from so many on, with which rounded numbers say the same about 0; at most ten more."""
    for more in range(MOST_MORE):
        if clear(partial(_rounded, decimals=decimals + more)):
            return decimals + more
    return decimals + MOST_MORE


def p_value(p: float) -> str:
    """Two significant digits, but at most four decimals, and no zero before the point: `.023`, `.0004`, `< .0001`."""
    if math.isnan(p):
        return NOTHING
    if p < 0.0001:
        return "< .0001"
    text = fixed(p, min(4, 1 - Decimal(f"{p:.1e}").adjusted()))
    return text.removeprefix("0") if p < 0.995 else "1" if p == 1 else "> .99"


def p_is(p: float) -> str:
    """A p value in a sentence: `p = .0004`, `p < .0001`."""
    said = p_value(p)
    return f"p {said}" if said[0] in "<>" else f"p = {said}"


def counted(number: int, what: str) -> str:
    """`1 seed`, `20 seeds`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def in_bytes(size: float) -> str:
    """An amount of memory, with three digits: `512 bytes`, `1.34 kB`, `2.70 GB`."""
    if size < 999.5:
        return f"{size:.0f} bytes"
    unit = next((unit for unit, factor in UNITS.items() if size < 999.5 * factor), "GB")
    return f"{measured(size / UNITS[unit])} {unit}"


def plain(value: float) -> str:
    """A number without an interval: as it is up to five digits, longer ones to three digits or whole."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    exact = Decimal(f"{value:.15g}").normalize()  # what a number is known to
    if len(exact.as_tuple().digits) <= SHORT:
        return fixed(value, max(0, -int(exact.as_tuple().exponent)))
    return measured(value)


def measured(value: float) -> str:
    """A measured number, never a setting: three digits, or whole."""
    return fixed(value, max(0, 2 - Decimal(f"{value:.2e}").adjusted()) if value and math.isfinite(value) else 0)


def fixed(value: float, decimals: int) -> str:
    """Rounded half to even in decimal, thousands apart, with a true minus: `12,300`, `−0.50`; zero has no sign."""
    if not math.isfinite(value):
        return plain(value)
    rounded = _rounded(value, decimals)
    text = f"{abs(rounded):,.{max(decimals, 0)}f}"
    return MINUS + text if rounded < 0 else text


def _rounded(value: float, decimals: int) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def _to(value: float, decimals: int | None) -> str:
    return plain(value) if decimals is None else fixed(value, decimals)
