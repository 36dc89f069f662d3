"""Networks on lanes: numbers lie as `[feature, lane]`, flat, and every lane is computed on its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba.extending import register_jitable

from pglab.native.compiling import specialized
from pglab.native.functions import exp, tanh
from pglab.native.vector import at, dense, put

ZERO, HALF, ONE, ROOT = (np.float32(x) for x in (0.0, 0.5, 1.0, math.sqrt(0.5)))


@register_jitable
def relu(x):  # type: ignore[no-untyped-def]
    return x if x > ZERO else ZERO


@register_jitable
def silu(x):  # type: ignore[no-untyped-def]
    return x / (ONE + exp(-x))


@register_jitable
def gelu(x):  # type: ignore[no-untyped-def]
    return HALF * x * (ONE + np.float32(math.erf(x * ROOT)))


ACTIVATIONS: Mapping[str, Callable[..., Any]] = {"tanh": tanh, "relu": relu, "silu": silu, "gelu": gelu}


@register_jitable
def standardize(flat, begin, inputs, clip, values, lanes):  # type: ignore[no-untyped-def]
    """Puts after the inputs that `values` begins with ((s - m) scale) within ± clip; m and scale stand in `flat`."""
    low, high = np.float32(-clip), np.float32(clip)
    for i in range(inputs):
        mean, scale = flat[begin + i], flat[begin + inputs + i]
        for lane in range(lanes):
            v = (at(values, i * lanes + lane) - mean) * scale
            v = v if v > low else low
            put(values, (inputs + i) * lanes + lane, v if v < high else high)


def forwards(activation: Callable[..., Any], counted: bool, standardized: bool) -> Any:
    """A function that computes a network's outputs.

    Args:
        activation: between its layers.
        counted: the input is one symbol in each lane, and stands for its one-hot vector.
        standardized: inputs are standardised first.
    """

    @specialized(activation, counted, standardized)
    def forward(flat, sizes, free, clip, values, lanes):  # type: ignore[no-untyped-def]
        """Outputs of a network from the inputs that `values` begins with; returns where in `values` they begin.

        Args:
            flat: a run's parameters: W `[out, in]` and b of each layer, then the mean and the scale of the inputs
                where these are standardised, then `free` outputs that nothing is fed to.
            sizes: inputs, the widths of hidden layers, outputs.
            clip: of standardised inputs.
            values: `[inputs, lanes]`, then room for standardised inputs, all layers and the free outputs.
        """
        start, place, alone, last = 0, 0, 0, len(sizes) - 1
        for layer in range(last):
            alone += (sizes[layer] + 1) * sizes[layer + 1]
        if standardized:
            standardize(flat, alone, sizes[0], clip, values, lanes)
            alone += 2 * sizes[0]
            start = sizes[0] * lanes
        for layer in range(last):
            inputs, outputs = sizes[layer], sizes[layer + 1]
            bias = place + inputs * outputs
            if counted and layer == 0:
                following = lanes
                for j in range(outputs):
                    for lane in range(lanes):
                        weight = at(flat, place + j * inputs + np.int64(at(values, lane)))
                        put(values, following + j * lanes + lane, flat[bias + j] + weight)
            else:
                following = start + inputs * lanes
                dense(values, following, flat, place, inputs, 1, bias, values, start, outputs, inputs, lanes)
            if layer < last - 1:
                for i in range(outputs * lanes):
                    put(values, following + i, activation(at(values, following + i)))
            start, place = following, bias + outputs
        for j in range(free):
            for lane in range(lanes):
                put(values, start + (sizes[last] + j) * lanes + lane, flat[alone + j])
        return start

    return forward
