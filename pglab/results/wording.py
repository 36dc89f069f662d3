"""How numbers are said in a sentence."""

import math


def with_error(value: float, half: float) -> str:
    """`41 ± 12`: the error with two digits, and the value to the same decimal."""
    decimals = _decimals(half)
    return f"{rounded(value, decimals)} ± {rounded(half, decimals)}"


def plain(value: float) -> str:
    """`1,234`, `41`, `4.12`, `0.412`: three digits, and all of a whole number."""
    if not math.isfinite(value):
        return "no number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return rounded(value, 0 if value == round(value) else _decimals(value) + (abs(value) < 100))


def rounded(value: float, decimals: int) -> str:
    """With that many decimals and a true minus sign."""
    text = f"{value:,.{decimals}f}"
    return (text.lstrip("-") if float(text.replace(",", "")) == 0 else text).replace("-", "−")


def p_value(p: float) -> str:
    """`= .0004`, `= .62`, `< .0001`."""
    if p < 0.0001:
        return "< .0001"
    said = f"{p:.4f}" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    return f"= {said.removeprefix('0')}"


def counted(number: int, what: str) -> str:
    """`1 seed`, `20 seeds`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def _decimals(error: float) -> int:
    """Decimals that leave two digits of an error; none for whole numbers of two digits and more."""
    return max(0, 1 - math.floor(math.log10(abs(error)))) if error and math.isfinite(error) else 0
