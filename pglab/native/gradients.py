"""Gradients of policies in tiles of steps that a core's cache holds, for heads of counted actions.

A run's numbers are summed tile by tile, in the order of its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import register_jitable

from pglab.native.compiling import compiled, specialized
from pglab.native.functions import exp, log, tanh
from pglab.native.network import forwards, relu
from pglab.native.vector import WIDTH, add_products, at, dense, put

TILE = 128  # steps
ZERO, ONE = np.float32(0.0), np.float32(1.0)


@register_jitable
def tanh_slope(y):  # type: ignore[no-untyped-def]
    return ONE - y * y


@register_jitable
def relu_slope(y):  # type: ignore[no-untyped-def]
    return ONE if y > ZERO else ZERO


SLOPES = {tanh: tanh_slope, relu: relu_slope}  # d/dx of an activation, from its own value


@register_jitable
def softmax_slopes(z, start, outputs, chosen, psi, beta, kept, loss, entropy, values, free, lanes):  # type: ignore[no-untyped-def]
    """Overwrites outputs z with d/dz of -log π(a|s) Ψ - β H, of which it adds up the first and H where a step is kept.

    Args:
        chosen, psi, kept: of each lane; a lane that is not kept has Ψ = 0 and β = 0.
        values, free: room for three rows of lanes.
    """
    most, total, weighted = free, free + lanes, free + 2 * lanes
    for lane in range(lanes):
        put(values, most + lane, at(z, start + lane))
        put(values, total + lane, ZERO)
        put(values, weighted + lane, ZERO)
    for j in range(1, outputs):
        for lane in range(lanes):
            v, known = at(z, start + j * lanes + lane), at(values, most + lane)
            put(values, most + lane, v if v > known else known)
    for j in range(outputs):
        for lane in range(lanes):
            shifted = at(z, start + j * lanes + lane) - at(values, most + lane)
            weight = exp(shifted)
            put(values, total + lane, at(values, total + lane) + weight)
            put(values, weighted + lane, at(values, weighted + lane) + weight * shifted)
    # π_j = e^{z_j - m} / total, and H = log total - Σ_j π_j (z_j - m).
    for lane in range(lanes):
        put(
            values,
            weighted + lane,
            log(at(values, total + lane)) - at(values, weighted + lane) / at(values, total + lane),
        )
    for j in range(outputs):
        for lane in range(lanes):
            log_pi = at(z, start + j * lanes + lane) - at(values, most + lane) - log(at(values, total + lane))
            own = ONE if at(chosen, lane) == j else ZERO
            put(loss, lane, at(loss, lane) - own * log_pi * at(psi, lane))
            pi = exp(log_pi)
            slope = at(psi, lane) * (pi - own) + beta * at(kept, lane) * pi * (log_pi + at(values, weighted + lane))
            put(z, start + j * lanes + lane, slope)
    for lane in range(lanes):
        put(entropy, lane, at(entropy, lane) + at(kept, lane) * at(values, weighted + lane))


@register_jitable
def sigmoid_slopes(z, start, outputs, chosen, psi, beta, kept, loss, entropy, values, free, lanes):  # type: ignore[no-untyped-def]
    """The same for one output z of two actions, log π(1|s) = -log(1 + e^{-z})."""
    for lane in range(lanes):
        v = at(z, start + lane)
        size = v if v > ZERO else -v
        rest = log(ONE + exp(-size))  # -log of the more probable one's probability
        one = -rest if v > ZERO else v - rest
        other = one - v
        p, q = exp(one), exp(other)
        taken = at(chosen, lane)
        h = -(p * one + q * other)
        put(loss, lane, at(loss, lane) - (one if taken > ZERO else other) * at(psi, lane))
        put(entropy, lane, at(entropy, lane) + at(kept, lane) * h)
        put(z, start + lane, at(psi, lane) * (p - taken) + beta * at(kept, lane) * p * q * v)


@register_jitable
def last_offset(sizes):  # type: ignore[no-untyped-def]
    """Where the last layer's parameters begin."""
    place = 0
    for layer in range(len(sizes) - 2):
        place += (sizes[layer] + 1) * sizes[layer + 1]
    return place


def backwards(activation: Callable[..., Any], counted: bool, standardized: bool) -> Any:
    """A function that adds up the slopes of a network's parameters; arguments as of `pglab.native.network.forwards`."""
    slope = SLOPES[activation]

    @specialized(activation, counted, standardized)
    def backward(flat, sizes, values, start, delta, ones, sums, lanes):  # type: ignore[no-untyped-def]
        """Adds the slopes at a tile of steps.

        Args:
            flat: a run's parameters.
            values, start: what `forward` left, with the slopes of the outputs from `start` on.
            delta: room for the widest layer.
            ones: 1 in every lane.
            sums: of each parameter, `[Q]`.
        """
        layer = len(sizes) - 2
        place, above = last_offset(sizes), start
        while layer >= 0:
            inputs, outputs = sizes[layer], sizes[layer + 1]
            add_products(sums, place + inputs * outputs, values, above, ones, 0, outputs, 1, lanes)
            if counted and layer == 0:
                for j in range(outputs):
                    for lane in range(lanes):
                        index = place + j * inputs + np.int64(at(values, lane))
                        put(sums, index, at(sums, index) + at(values, above + j * lanes + lane))
                break
            below = above - inputs * lanes
            add_products(sums, place, values, above, values, below, outputs, inputs, lanes)
            if layer == 0:
                break
            dense(delta, 0, flat, place, 1, inputs, -1, values, above, inputs, outputs, lanes)
            for i in range(inputs * lanes):
                put(values, below + i, at(delta, i) * slope(at(values, below + i)))
            layer -= 1
            above = below
            place -= (sizes[layer] + 1) * sizes[layer + 1]

    return backward


def policy_gradients(
    activation: Callable[..., Any], counted: bool, standardized: bool, slopes: Callable[..., Any]
) -> Any:
    """The compiled gradient of Σ_t -log π(a_t|s_t) Ψ_t - β H for many runs.

    Args:
        activation, counted, standardized: see `pglab.native.network.forwards`.
        slopes: of a head.
    """
    forward = forwards(activation, counted, standardized)
    backward = backwards(activation, counted, standardized)

    @compiled(activation, counted, standardized, slopes)
    def gradients(  # type: ignore[no-untyped-def]
        flat, sizes, clip, first, count, obs, stored, action, psi, beta, gradient, loss, entropy
    ):  # fmt: skip
        """Writes the gradient `[K, Q]`, the loss and Σ_t H, `[K]` each.

        Args:
            flat: parameters, `[K, Q]`.
            first, count: where the steps of each run lie, and how many they are, `[K]`.
            obs, action, psi: of each step; `obs` is flat, `stored` numbers a step.
            beta: weight of the entropy of each run, `[K]`.
        """
        width, widest = np.int64(0), np.int64(0)
        for size in sizes:
            width += size
            widest = max(widest, size)
        values = np.zeros((width + sizes[0] + 3) * TILE, np.float32)
        delta = np.zeros(widest * TILE, np.float32)
        chosen, weight, kept = np.zeros(TILE, np.float32), np.zeros(TILE, np.float32), np.zeros(TILE, np.float32)
        losses, entropies = np.zeros(TILE, np.float32), np.zeros(TILE, np.float32)
        ones = np.ones(TILE, np.float32)
        outputs = sizes[len(sizes) - 1]
        free = (width + sizes[0]) * TILE
        for run in range(len(flat)):
            sums = gradient[run]
            sums[:] = ZERO
            loss[run], entropy[run] = 0.0, 0.0
            if count[run] == 0:
                continue
            parameters = flat[run]
            losses[:], entropies[:] = ZERO, ZERO
            end = first[run] + count[run]
            for begin in range(first[run], end, TILE):
                here = min(TILE, end - begin)
                lanes = -(-here // WIDTH) * WIDTH
                for lane in range(lanes):
                    there = lane < here
                    step = begin + lane if there else begin
                    for i in range(stored):
                        put(values, i * lanes + lane, at(obs, step * stored + i))
                    put(chosen, lane, np.float32(at(action, step)))
                    put(weight, lane, at(psi, step) if there else ZERO)
                    put(kept, lane, ONE if there else ZERO)
                start = forward(parameters, sizes, 0, clip, values, lanes)
                slopes(
                    values, start, outputs, chosen, weight, beta[run], kept, losses, entropies, values, free, lanes
                )  # fmt: skip
                backward(parameters, sizes, values, start, delta, ones, sums, lanes)
            for lane in range(TILE):
                loss[run] += losses[lane]
                entropy[run] += entropies[lane]
            loss[run] -= beta[run] * entropy[run]

    return gradients
