"""Contract checks for components of your own, to be called in your own tests.

    from pglab.testing import check_weighting

    def test_near_sighted_is_a_weighting():
        check_weighting(NearSighted(n=2))

Each check calls the component on fixed inputs, so that its verdict never varies, and raises an
AssertionError that says what broke, where, what was expected and what to do. Passing means that
pglab's training can use the component, fused with others; it says nothing of how well it learns.
"""

from typing import Any

from pglab.testing.baselines import check_baseline
from pglab.testing.heads import check_head
from pglab.testing.weightings import check_weighting
from pglab.testing.worlds import check_env

__all__ = ["check_baseline", "check_env", "check_head", "check_native", "check_weighting"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "check_native":  # needs numba, which the other checks do not
        from pglab.testing.native import check_native

        return check_native
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
