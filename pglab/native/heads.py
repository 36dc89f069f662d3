"""Heads on lanes: actions from a network's outputs and uniforms, as `pglab.algorithms.heads` draws them.

Each samples from `z`, outputs `[W, lanes]` from `start` on (which
it may overwrite), and uniforms `[draws, lanes]`, after which there is free
room from `free` on, into the head's own actions and into those that the world is given, `[numbers, lanes]` each.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from pglab.native.functions import exp, tanh
from pglab.native.vector import at, put

ZERO, ONE = np.float32(0.0), np.float32(1.0)


@register_jitable
def sample_softmax(z, start, outputs, uniform, action, taken, low, high, lanes, free):  # type: ignore[no-untyped-def]
    """The smallest a with u < Σ_{b≤a} π(b|s)."""
    most, total, reached = free, free + lanes, free + 2 * lanes
    for lane in range(lanes):
        put(uniform, most + lane, at(z, start + lane))
        put(uniform, total + lane, ZERO)
        put(uniform, reached + lane, ZERO)
        put(taken, lane, ZERO)
    for j in range(1, outputs):
        for lane in range(lanes):
            v, known = at(z, start + j * lanes + lane), at(uniform, most + lane)
            put(uniform, most + lane, v if v > known else known)
    for j in range(outputs):
        for lane in range(lanes):
            weight = exp(at(z, start + j * lanes + lane) - at(uniform, most + lane))
            put(z, start + j * lanes + lane, weight)
            put(uniform, total + lane, at(uniform, total + lane) + weight)
    for j in range(outputs - 1):
        for lane in range(lanes):
            below = at(uniform, reached + lane) + at(z, start + j * lanes + lane)
            put(uniform, reached + lane, below)
            beyond = at(uniform, lane) * at(uniform, total + lane) >= below
            put(taken, lane, at(taken, lane) + (ONE if beyond else ZERO))
    for lane in range(lanes):
        put(action, lane, at(taken, lane))


@register_jitable
def sample_sigmoid(z, start, outputs, uniform, action, taken, low, high, lanes, free):  # type: ignore[no-untyped-def]
    """1 where u ≥ π(0|s) = 1 / (1 + e^z)."""
    for lane in range(lanes):
        chosen = ONE if at(uniform, lane) * (ONE + exp(at(z, start + lane))) >= ONE else ZERO
        put(action, lane, chosen)
        put(taken, lane, chosen)


@register_jitable
def normal_quantile(uniform):  # type: ignore[no-untyped-def]
    """Φ⁻¹ in the middle of what a uniform of single precision stands for, to 1e-15 (Wichura 1988, AS 241)."""
    p = np.float64(uniform) + 2.0**-25
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        a = 2.5090809287301226727e3
        for c in (
            3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4, 1.3731693765509461125e4,
            1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
        ):  # fmt: skip
            a = a * r + c
        b = 5.2264952788528545610e3
        for c in (
            2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4, 5.3941960214247511077e3,
            6.8718700749205790830e2, 4.2313330701600911252e1, 1.0,
        ):  # fmt: skip
            b = b * r + c
        return q * a / b
    r = math.sqrt(-math.log(p if q < 0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        a = 7.7454501427834140764e-4
        for c in (
            2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0, 3.64784832476320460504e0,
            5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
        ):  # fmt: skip
            a = a * r + c
        b = 1.05075007164441684324e-9
        for c in (
            5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1, 6.89767334985100004550e-1,
            1.67638483018380384940e0, 2.05319162663775882187e0, 1.0,
        ):  # fmt: skip
            b = b * r + c
    else:  # no uniform of single precision comes here but 0
        r -= 5.0
        a = 2.01033439929228813265e-7
        for c in (
            2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2, 2.96560571828504891230e-1,
            1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0,
        ):  # fmt: skip
            a = a * r + c
        b = 2.04426310338993978564e-15
        for c in (
            1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4, 1.48753612908506148525e-2,
            1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
        ):  # fmt: skip
            b = b * r + c
    return -a / b if q < 0 else a / b


@register_jitable
def sample_normal(z, start, outputs, uniform, action, taken, low, high, lanes, free):  # type: ignore[no-untyped-def]
    """x = μ + σ Φ⁻¹(u), which the world is given as it is."""
    numbers = outputs // 2
    for i in range(numbers):
        for lane in range(lanes):
            place = i * lanes + lane
            deviate = np.float32(normal_quantile(at(uniform, place)))
            drawn = at(z, start + place) + exp(at(z, start + numbers * lanes + place)) * deviate
            put(action, place, drawn)
            put(taken, place, drawn)


@register_jitable
def sample_clipped(z, start, outputs, uniform, action, taken, low, high, lanes, free):  # type: ignore[no-untyped-def]
    """The same, cut to the bounds for the world."""
    sample_normal(z, start, outputs, uniform, action, taken, low, high, lanes, free)
    for i in range(outputs // 2):
        for lane in range(lanes):
            v = at(taken, i * lanes + lane)
            v = v if v < high[i] else high[i]
            put(taken, i * lanes + lane, v if v > low[i] else low[i])


@register_jitable
def sample_squashed(z, start, outputs, uniform, action, taken, low, high, lanes, free):  # type: ignore[no-untyped-def]
    """The same, squashed into the bounds for the world: c + h tanh x."""
    sample_normal(z, start, outputs, uniform, action, taken, low, high, lanes, free)
    for i in range(outputs // 2):
        centre, half = (low[i] + high[i]) / np.float32(2.0), (high[i] - low[i]) / np.float32(2.0)
        for lane in range(lanes):
            put(taken, i * lanes + lane, centre + half * tanh(at(taken, i * lanes + lane)))
