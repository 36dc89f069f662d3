"""A network's outputs, and the slopes of its parameters, for stacks of runs, in tiles that a core's cache holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from pglab.native.compiling import compiled
from pglab.native.gradients import TILE, ZERO, backwards
from pglab.native.network import forwards
from pglab.native.vector import at, put


@cache
def stacked(activation: Callable[..., Any]) -> tuple[Any, Any]:
    """Compiled code for fully connected layers with an activation: outputs, and slopes.

    Both take flat parameters `[B, Q]`, sizes (see `pglab.native.network.forwards`) and inputs `[B, n, D]`, of which n
    is a multiple of `pglab.native.vector.WIDTH`.
    """
    forward, backward = forwards(activation, False, False), backwards(activation, False, False)

    @compiled("outputs", activation)
    def outputs_of(flat, sizes, x, outputs):  # type: ignore[no-untyped-def]
        """Writes outputs `[B, out, n]`."""
        width, last = np.int64(0), sizes[len(sizes) - 1]
        for size in sizes:
            width += size
        values = np.zeros((width + sizes[0]) * TILE, np.float32)
        for run in range(len(flat)):
            parameters, inputs, written = flat[run], x[run].reshape(-1), outputs[run].reshape(-1)
            n = x.shape[1]
            for begin in range(0, n, TILE):
                lanes = min(TILE, n - begin)
                for i in range(sizes[0]):
                    for lane in range(lanes):
                        put(values, i * lanes + lane, at(inputs, (begin + lane) * sizes[0] + i))
                start = forward(parameters, sizes, 0, 0.0, values, lanes)
                for j in range(last):
                    for lane in range(lanes):
                        put(written, j * n + begin + lane, at(values, start + j * lanes + lane))

    @compiled("slopes", activation)
    def slopes_of(flat, sizes, x, slopes, gradient):  # type: ignore[no-untyped-def]
        """Writes d/dθ `[B, Q]` of what has the slopes d/d outputs `[B, out, n]`."""
        width, widest, last = np.int64(0), np.int64(0), sizes[len(sizes) - 1]
        for size in sizes:
            width += size
            widest = max(widest, size)
        values = np.zeros((width + sizes[0]) * TILE, np.float32)
        delta = np.zeros(widest * TILE, np.float32)
        ones = np.ones(TILE, np.float32)
        for run in range(len(flat)):
            parameters, inputs, given = flat[run], x[run].reshape(-1), slopes[run].reshape(-1)
            n = x.shape[1]
            sums = gradient[run]
            sums[:] = ZERO
            for begin in range(0, n, TILE):
                lanes = min(TILE, n - begin)
                for i in range(sizes[0]):
                    for lane in range(lanes):
                        put(values, i * lanes + lane, at(inputs, (begin + lane) * sizes[0] + i))
                start = forward(parameters, sizes, 0, 0.0, values, lanes)
                for j in range(last):
                    for lane in range(lanes):
                        put(values, start + j * lanes + lane, at(given, j * n + begin + lane))
                backward(parameters, sizes, values, start, delta, ones, sums, lanes)

    return outputs_of, slopes_of
