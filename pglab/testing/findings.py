"""Helpers of the checks: call a component, compare what it returned, say what was found."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


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
