"""Helpers of the checks: call a component, compare what it returned, say what was found."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

PRECISION = {torch.float64: 1e-9, torch.float32: 1e-4}
SLOPE = 1e-5  # of finite differences
BELOW_ONE = {torch.float32: 1 - 2.0**-24, torch.float64: 1 - 2.0**-53}


def require(holds: bool, finding: str) -> None:
    """An AssertionError with the finding, unless it holds."""
    if not holds:
        raise AssertionError(finding)


def name_of(component: Any) -> str:
    """The name that messages give a component: its class, or its own name if it is a function."""
    return getattr(component, "__name__", type(component).__name__)


def attempt(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a component's own code; an error of its own becomes a finding that carries it."""
    try:
        return function(*arguments)
    except Exception as error:  # a component's own code raises what it likes
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}") from error


@contextmanager
def unchanged(what: str, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Fails when one of the tensors, given by name, is changed in place meanwhile."""
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    yield
    for name, tensor in tensors.items():
        require(
            same(tensor, before[name]),
            f"{what} changed its input {name} in place: work on a copy (`x = x.clone()`, `a - b` instead of `a -= b`)",
        )


def same(one: Tensor, other: Tensor) -> bool:
    """Equal in shape and in every number, NaN being equal to NaN."""
    return one.shape == other.shape and not bool(differing(one, other, 0.0).any())


def differing(one: Tensor, other: Tensor, tolerance: float) -> Tensor:
    """Marks where tensors differ by more than `tolerance`, absolute and relative to `other`; NaN is equal to NaN."""
    one, other = one.detach().double(), other.detach().double()
    return ~torch.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def first(where: Tensor) -> tuple[int, ...]:
    """The first index at which a boolean tensor is true."""
    return tuple(where.nonzero()[0].tolist())


def place(where: Tensor, axes: str) -> str:
    """The first index at which a boolean tensor is true, in words: "at [..., E, T] = [0, 2, 1]"."""
    return f"at {axes} = {list(first(where))}"


def require_rows_apart(what: str, function: Any, logits: Tensor, *given: Tensor) -> None:
    """Fails where a function of logits `[n, W]`, and of more for each row, mixes rows or goes by leading axes."""
    rows, tolerance = len(logits), PRECISION[logits.dtype]
    together = function(logits, *given)
    stacked = function(*(x.expand(2, *x.shape) for x in (logits, *given)))
    alone = torch.stack([function(*(x[row] for x in (logits, *given))) for row in range(rows)])
    if (differing(stacked[1], together, tolerance) | differing(alone, together, tolerance)).any():
        raise AssertionError(
            f"{what} of a row depends on the leading axes: logits [2, {rows}, W], [{rows}, W] and [W] of the same rows "
            "give different results; count axes from the end (the logits are dim=-1)"
        )
    for row in range(rows):
        spoilt = logits.clone()
        spoilt[row] = float("nan")
        doing = f"{what}, with NaN logits in one row of several (a run that diverges),"
        moved = differing(attempt(doing, function, spoilt, *given), together, tolerance)
        moved[row] = False
        if moved.any():
            raise AssertionError(
                f"{what} leaks between rows: NaN logits in row {row} changed row {first(moved)[0]}; reduce over the "
                "last axis of the logits only"
            )


def described(result: Any) -> str:
    """Describes what a component returned: its shape and type."""
    if not isinstance(result, Tensor):
        return f"a {type(result).__name__}"
    return f"shape {list(result.shape)} of {result.dtype}"


def in_numbers(row: Tensor) -> str:
    """A vector, to four digits."""
    return "[" + ", ".join(f"{x:.4g}" for x in row.tolist()) + "]"
