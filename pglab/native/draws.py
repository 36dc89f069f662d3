"""The random numbers of `pglab.training.randomness`, one at a time: the same bits."""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

STEP, MIX_1, MIX_2 = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
ONE = np.uint64(1)


@register_jitable
def fold_in(key, index):  # type: ignore[no-untyped-def]
    """The key that belongs to `index` under `key`."""
    z = np.uint64(key) + (np.uint64(index) + ONE) * STEP
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@register_jitable
def uniform(key):  # type: ignore[no-untyped-def]
    """A number in [0, 1) of single precision from a key."""
    return np.float32(np.int64(key >> np.uint64(40))) * np.float32(2.0**-24)


@register_jitable
def fine_uniform(key):  # type: ignore[no-untyped-def]
    """A number in [0, 1) of double precision from a key."""
    return np.float64(np.int64(key >> np.uint64(11))) * 2.0**-53
