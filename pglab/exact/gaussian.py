"""Exact means of products of linear and quadratic forms of one standard normal vector.

Of ξ ~ N(0, I) with a leading 1, ξ̃ = (1, ξ), a linear form is l̃ᵀ ξ̃ and a quadratic one ξ̃ᵀ M ξ̃. The mean of a product
is the sum over all ways to part its factors into blocks, of the product of the blocks' joint cumulants. Few of these
are not zero. With D = diag(0, I), e the first unit vector, linear a, b and quadratic M, N:

    κ(a)       = aᵀ e                    κ(a, b)       = aᵀ D b
    κ(a, M)    = 2 aᵀ D M e              κ(a, b, M)    = 2 aᵀ D M D b
    κ(a, M, N) = 4 aᵀ D (M D N + N D M) e
    κ(a, b, M, N) = 4 aᵀ D (M D N + N D M) D b
    κ(M)       = eᵀ M e + tr(D M)        κ(M, N)       = 2 tr(D M D N) + 4 eᵀ M D N e

(Their generating function is log E[exp] of a quadratic form; Mathai and Provost 1992, section 3.2.)
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

Factor = int | str  # the number of a linear form, or "M", "N"


@dataclass(frozen=True)
class Forms:
    """Linear forms beside one or two quadratic ones, for many cases `[...]` at once.

    Attributes:
        rows: the linear forms, `[..., q, 1+N]`.
        m, n: the quadratic ones, `[..., 1+N, 1+N]`, symmetric.
    """

    rows: np.ndarray
    m: np.ndarray
    n: np.ndarray

    def mean(self, *factors: Any) -> np.ndarray:
        """E of a product of factors.

        Args:
            factors: "M" and "N" for the quadratic forms, each at most once; a linear form is its number in `rows`,
                or an array of numbers `[i, j]`: then so many products are taken at once.

        Returns:
            `[..., i, j]`, or `[..., 1, 1]` where there is no array.
        """
        named: dict[Factor, Any] = {}
        for place, factor in enumerate(factors):
            named[factor if isinstance(factor, str) else place] = factor
        return _Product(self, named).mean(tuple(named))

    @cached_property
    def plain(self) -> np.ndarray:
        """aᵀ D b, `[..., q, q]`."""
        return self._free @ self._free.swapaxes(-1, -2)

    @cached_property
    def through(self) -> dict[str, np.ndarray]:
        """aᵀ D M D b for either quadratic form, and aᵀ D (M D N + N D M) D b, `[..., q, q]`."""
        crossed = self._by_m @ self._by_n.swapaxes(-1, -2)
        return {
            "M": self._by_m @ self._free.swapaxes(-1, -2),
            "N": self._by_n @ self._free.swapaxes(-1, -2),
            "MN": crossed + crossed.swapaxes(-1, -2),
        }

    @cached_property
    def ending(self) -> dict[str, np.ndarray]:
        """aᵀ D M e for either quadratic form, and aᵀ D (M D N + N D M) e, `[..., q]`."""
        m, n = self.m[..., 1:, 0], self.n[..., 1:, 0]
        return {
            "M": _applied(self._free, m),
            "N": _applied(self._free, n),
            "MN": _applied(self._by_m, n) + _applied(self._by_n, m),
        }

    @cached_property
    def closed(self) -> dict[str, np.ndarray]:
        """κ of the quadratic forms alone and together, `[...]`."""
        m, n = self.m[..., 1:, 1:], self.n[..., 1:, 1:]
        heads = (self.m[..., 0, 1:] * self.n[..., 0, 1:]).sum(-1)
        return {
            "M": np.trace(self.m, axis1=-2, axis2=-1),
            "N": np.trace(self.n, axis1=-2, axis2=-1),
            "MN": 2 * (m * n).sum((-2, -1)) + 4 * heads,
        }

    @property
    def _free(self) -> np.ndarray:
        return self.rows[..., 1:]

    @cached_property
    def _by_m(self) -> np.ndarray:
        return self._free @ self.m[..., 1:, 1:]

    @cached_property
    def _by_n(self) -> np.ndarray:
        return self._free @ self.n[..., 1:, 1:]


class _Product:
    """The mean of one product, with those of its parts as they are needed."""

    def __init__(self, forms: Forms, factors: dict[Factor, Any]) -> None:
        self._forms, self._factors = forms, factors
        self._known: dict[tuple[Factor, ...], Any] = {(): np.ones((1, 1))}

    def mean(self, names: tuple[Factor, ...]) -> Any:
        """By the block that the first factor is in."""
        if names not in self._known:
            first, *others = names
            total: Any = 0.0
            for size in range(len(others) + 1):
                for chosen in combinations(others, size):
                    cumulant = self._cumulant((first, *chosen))
                    if cumulant is not None:
                        rest = tuple(name for name in others if name not in chosen)
                        total = total + cumulant * self.mean(rest)
            self._known[names] = total
        return self._known[names]

    def _cumulant(self, block: tuple[Factor, ...]) -> np.ndarray | None:
        """Of a block, `[..., i, j]`; None where it is 0 by its kind."""
        linear = [self._factors[name] for name in block if not isinstance(name, str)]
        quadratic = "".join(sorted(name for name in block if isinstance(name, str)))
        if not linear:
            return self._forms.closed[quadratic][..., None, None]
        if len(linear) == 1:
            (a,) = linear
            if not quadratic:
                return _at(self._forms.rows[..., 0], a)
            return 2 ** len(quadratic) * _at(self._forms.ending[quadratic], a)
        if len(linear) > 2:
            return None
        a, b = np.broadcast_arrays(*linear)
        table = self._forms.through[quadratic] if quadratic else self._forms.plain
        return 2 ** len(quadratic) * _at(table, a, b)


def _at(table: np.ndarray, *index: Any) -> np.ndarray:
    """Entries of a table along its last axes, `[..., i, j]`."""
    return table[(..., *(np.atleast_2d(np.asarray(number)) for number in index))]


def _applied(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Rows `[..., q, N]` on a vector `[..., N]`."""
    return (rows @ vector[..., None])[..., 0]
