"""Cases that wait behind the slow marker."""

from collections.abc import Iterable
from typing import Any

import pytest


def first(number: int, cases: Iterable[Any]) -> list[Any]:
    """The cases of `parametrize`, those after the first `number` of them among the slow tests."""
    every = [case if isinstance(case, tuple) else (case,) for case in cases]
    slow = [pytest.param(*case, marks=pytest.mark.slow) for case in every[number:]]
    return [pytest.param(*case) for case in every[:number]] + slow
