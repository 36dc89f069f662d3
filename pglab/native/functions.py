"""Functions of scalars that come out the same on every processor, and that a compiler can put into vectors.

They have no branches, and are made of additions, multiplications, fused multiply-adds and one division at most:
what libraries of mathematics do in their own ways on each machine would change a run's bits.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from pglab.native.vector import bits_as_float, float_as_bits, fma

single = np.float32


@register_jitable
def exp(x):  # type: ignore[no-untyped-def]
    """e^x in single precision, to 1e-7 of itself; its ends are those of single precision. (Cephes, `expf`.)"""
    x = single(88.3) if x > single(88.3) else x
    x = single(-87.3) if x < single(-87.3) else x
    n = np.floor(fma(x, single(1.4426950408889634), single(0.5)))
    r = fma(n, single(-0.693359375), x)
    r = fma(n, single(2.12194440e-4), r)
    p = fma(single(1.9875691500e-4), r, single(1.3981999507e-3))
    p = fma(p, r, single(8.3334519073e-3))
    p = fma(p, r, single(4.1665795894e-2))
    p = fma(p, r, single(1.6666665459e-1))
    p = fma(p, r, single(5.0000001201e-1))
    p = fma(p, r * r, r) + single(1.0)
    return p * bits_as_float((np.int32(n) + np.int32(127)) << np.int32(23))


@register_jitable
def log(x):  # type: ignore[no-untyped-def]
    """log x of a normal number x > 0 in single precision, to 1e-7 (1 + |log x|). (Cephes, `logf`.)"""
    bits = float_as_bits(x)
    exponent = (bits >> np.int32(23)) - np.int32(126)
    m = bits_as_float((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000))  # in [½, 1)
    small = m < single(0.70710678)
    e = single(exponent) - (single(1.0) if small else single(0.0))
    m = (m + m if small else m) - single(1.0)
    z = m * m
    p = fma(m, single(7.0376836292e-2), single(-1.1514610310e-1))
    p = fma(p, m, single(1.1676998740e-1))
    p = fma(p, m, single(-1.2420140846e-1))
    p = fma(p, m, single(1.4249322787e-1))
    p = fma(p, m, single(-1.6668057665e-1))
    p = fma(p, m, single(2.0000714765e-1))
    p = fma(p, m, single(-2.4999993993e-1))
    p = fma(p, m, single(3.3333331174e-1))
    y = fma(p * m, z, e * single(-2.12194440e-4))
    y = fma(single(-0.5), z, y)
    return fma(e, single(0.693359375), m + y)


@register_jitable
def tanh(x):  # type: ignore[no-untyped-def]
    """tanh x in single precision, to 3e-7: a rational function on ±7.9. (Eigen, `ptanh`.)"""
    most = single(7.90531110763549805)
    x = most if x > most else x
    x = -most if x < -most else x
    s = x * x
    p = fma(s, single(-2.76076847742355e-16), single(2.00018790482477e-13))
    p = fma(p, s, single(-8.60467152213735e-11))
    p = fma(p, s, single(5.12229709037114e-08))
    p = fma(p, s, single(1.48572235717979e-05))
    p = fma(p, s, single(6.37261928875436e-04))
    p = fma(p, s, single(4.89352455891786e-03))
    q = fma(s, single(1.19825839466702e-06), single(1.18534705686654e-04))
    q = fma(q, s, single(2.26843463243900e-03))
    q = fma(q, s, single(4.89352518554385e-03))
    return x * p / q


@register_jitable
def sine_and_cosine(x):  # type: ignore[no-untyped-def]
    """sin x and cos x in double precision, to 2e-16 for |x| up to 1e5. (Fdlibm, `k_sin` and `k_cos`.)"""
    n = np.floor(fma(x, 0.6366197723675814, 0.5))
    y = fma(n, -1.5707963267341256, x)
    y = fma(n, -6.077100506303966e-11, y)
    y = fma(n, -2.0222662487959506e-21, y)
    z = y * y
    p = fma(1.58969099521155010221e-10, z, -2.50507602534068634195e-08)
    p = fma(p, z, 2.75573137070700676789e-06)
    p = fma(p, z, -1.98412698298579493134e-04)
    p = fma(p, z, 8.33333333332248946124e-03)
    p = fma(p, z, -1.66666666666666324348e-01)
    s = fma(p * z, y, y)
    q = fma(-1.13596475577881948265e-11, z, 2.08757232129817482790e-09)
    q = fma(q, z, -2.75573143513906633035e-07)
    q = fma(q, z, 2.48015872894767294178e-05)
    q = fma(q, z, -1.38888888888741095749e-03)
    q = fma(q, z, 4.16666666666666019037e-02)
    c = fma(q * z, z, fma(-0.5, z, 1.0))
    quarter = np.int64(n)
    odd = (quarter & 1) == 1
    sine = c if odd else s
    cosine = s if odd else c
    sine = -sine if (quarter & 2) == 2 else sine
    cosine = -cosine if ((quarter + 1) & 2) == 2 else cosine
    return sine, cosine


@register_jitable
def sin(x):  # type: ignore[no-untyped-def]
    """sin x (see `sine_and_cosine`)."""
    return sine_and_cosine(x)[0]


@register_jitable
def cos(x):  # type: ignore[no-untyped-def]
    """cos x (see `sine_and_cosine`)."""
    return sine_and_cosine(x)[1]
