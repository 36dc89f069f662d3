"""Operations that numba has no words for: fused multiply-add, tuples out of arrays, dense layers on lanes.

All of them are elementwise over lanes, so that a lane's bits do not depend on what lies beside it, nor on how wide
a processor's vectors are.
"""

from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import cgutils, types

intrinsic: Any = extending.intrinsic  # what it makes is called without the first argument
WIDTH = 16  # lanes that are computed at once: numbers of single precision in the widest vector

_LANES = ir.VectorType(ir.FloatType(), WIDTH)
_INDEX = ir.IntType(64)
OUTPUTS = 8  # of a layer, computed at once
SQUARE = 4  # rows and columns of products, computed at once


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c with one rounding; all of one floating type."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return a(a, a, a), generate


@intrinsic
def bits_as_float(typing: Any, bits: Any) -> Any:
    """The number of single precision that 32 bits are."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def float_as_bits(typing: Any, x: Any) -> Any:
    """The 32 bits of a number of single precision."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def at(typing: Any, array: Any, place: Any) -> Any:
    """`array[place]` of a flat array, for a place that is not negative: loops of these can be put into vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, index = arguments
        data = context.make_array(signature.args[0])(context, builder, values).data
        return context.unpack_value(builder, array.dtype, builder.gep(data, [index]))

    return array.dtype(array, types.intp), generate


@intrinsic
def put(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """`array[place] = value`, likewise."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, index, given = arguments
        data = context.make_array(signature.args[0])(context, builder, target).data
        number = context.cast(builder, given, value, array.dtype)
        context.pack_value(builder, array.dtype, number, builder.gep(data, [index]))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def load(typing: Any, array: Any, stride: Any, lane: Any, like: Any) -> Any:
    """The numbers `array[lane]`, `array[stride + lane]`, … as a tuple of as many as `like` has."""
    count = len(like)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, step, place, _ = arguments
        data = context.make_array(signature.args[0])(context, builder, values).data
        found = []
        for _ in range(count):
            found.append(builder.load(builder.gep(data, [place])))
            place = builder.add(place, step)
        return context.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(array.dtype, count)(array, types.intp, types.intp, like), generate


@intrinsic
def store(typing: Any, array: Any, stride: Any, lane: Any, values: Any) -> Any:
    """Puts the numbers of a tuple where `load` finds them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, step, place, given = arguments
        data = context.make_array(signature.args[0])(context, builder, target).data
        for number, kind in enumerate(signature.args[3]):
            value = context.cast(builder, builder.extract_value(given, number), kind, array.dtype)
            builder.store(value, builder.gep(data, [place]))
            place = builder.add(place, step)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, values), generate


def _splat(builder: Any, number: Any) -> Any:
    """A vector of lanes that all hold one number."""
    nothing = ir.Constant(_LANES, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


def _vector(builder: Any, base: Any, place: Any) -> Any:
    """A pointer to the lanes from a place on."""
    return builder.bitcast(builder.gep(base, [place]), _LANES.as_pointer())


def _fused(builder: Any) -> Any:
    """a b + c of lanes, with one rounding."""
    kind = ir.FunctionType(_LANES, [_LANES, _LANES, _LANES])
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f32")


def _sum(builder: Any, lanes: Any) -> Any:
    """The sum of a vector's lanes, by halves."""
    half = WIDTH // 2
    while half:
        order = [(lane + half) % WIDTH for lane in range(WIDTH)]
        other = builder.shuffle_vector(lanes, lanes, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), order))
        lanes, half = builder.fadd(lanes, other), half // 2
    return builder.extract_element(lanes, ir.Constant(ir.IntType(32), 0))


def _constant(number: int) -> Any:
    return ir.Constant(_INDEX, number)


@intrinsic
def dense(
    typing: Any, y: Any, to: Any, weights: Any, weight: Any, of_output: Any, of_input: Any, bias: Any, x: Any,
    start: Any, outputs: Any, inputs: Any, lanes: Any,
) -> Any:  # fmt: skip
    """y = W x + b in every lane, or W x.

    Arrays are flat and of single precision: W[j, i] is `weights[weight + j of_output + i of_input]`, b is
    `weights[bias:]`, and zero where `bias` is negative; x is `x[start:]`, `[inputs, lanes]`, and y goes to `y[to:]`,
    `[outputs, lanes]`. Lanes are a multiple of `WIDTH`. Each y is summed in the order of its inputs, beginning with b,
    by fused multiply-adds.
    """
    size = types.intp
    signature = types.void(y, size, weights, size, size, size, size, x, size, size, size, size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def begin(number: int) -> Any:
            return context.make_array(signature.args[number])(context, builder, arguments[number]).data

        _, to, _, weight, of_output, of_input, bias, _, start, outputs, inputs, lanes = arguments
        target, rows, source, fused = begin(0), begin(2), begin(7), _fused(builder)
        biased = builder.icmp_signed(">=", bias, _constant(0))

        def block(first: Any, count: int, lane: Any) -> None:
            sums = [cgutils.alloca_once(builder, _LANES) for _ in range(count)]
            output = [builder.add(first, _constant(number)) for number in range(count)]
            for one in sums:
                builder.store(ir.Constant(_LANES, [0.0] * WIDTH), one)
            with builder.if_then(biased):
                for one, number in zip(sums, output, strict=True):
                    given = builder.load(builder.gep(rows, [builder.add(bias, number)]))
                    builder.store(_splat(builder, given), one)
            with cgutils.for_range(builder, inputs) as loop:
                place = builder.add(start, builder.add(builder.mul(loop.index, lanes), lane))
                value = builder.load(_vector(builder, source, place), align=4)
                of_this = builder.add(weight, builder.mul(loop.index, of_input))
                for one, number in zip(sums, output, strict=True):
                    place = builder.add(of_this, builder.mul(number, of_output))
                    factor = _splat(builder, builder.load(builder.gep(rows, [place])))
                    builder.store(builder.call(fused, [factor, value, builder.load(one)]), one)
            for one, number in zip(sums, output, strict=True):
                place = builder.add(to, builder.add(builder.mul(number, lanes), lane))
                builder.store(builder.load(one), _vector(builder, target, place), align=4)

        whole = builder.and_(outputs, _constant(-OUTPUTS))
        with cgutils.for_range_slice(builder, _constant(0), lanes, _constant(WIDTH)) as (lane, _):
            with cgutils.for_range_slice(builder, _constant(0), whole, _constant(OUTPUTS)) as (first, _):
                block(first, OUTPUTS, lane)
            with cgutils.for_range_slice(builder, whole, outputs, _constant(1)) as (first, _):
                block(first, 1, lane)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_products(
    typing: Any, sums: Any, to: Any, y: Any, first: Any, x: Any, start: Any, outputs: Any, inputs: Any, lanes: Any
) -> Any:
    """Adds Σ y_j x_i over all lanes to the sum of (j, i).

    Arrays are flat and of single precision: y is `y[first:]`, `[outputs, lanes]`, x is `x[start:]`, `[inputs, lanes]`,
    and the sums are `sums[to:]`, `[outputs, inputs]`. Lanes n, n + `WIDTH`, … are summed in order, and these `WIDTH`
    sums by halves.
    """
    size = types.intp
    signature = types.void(sums, size, y, size, x, size, size, size, size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def begin(number: int) -> Any:
            return context.make_array(signature.args[number])(context, builder, arguments[number]).data

        _, to, _, first, _, start, outputs, inputs, lanes = arguments
        target, left, right, fused = begin(0), begin(2), begin(4), _fused(builder)

        def rows(base: Any, begin: Any, number: Any, count: int, lane: Any) -> list[Any]:
            found = []
            for offset in range(count):
                row = builder.mul(builder.add(number, _constant(offset)), lanes)
                place = builder.add(begin, builder.add(row, lane))
                found.append(builder.load(_vector(builder, base, place), align=4))
            return found

        def block(j: Any, i: Any, high: int, wide: int) -> None:
            places, held = [], []
            for down in range(high):
                for across in range(wide):
                    pair = builder.add(builder.mul(builder.add(j, _constant(down)), inputs), i)
                    pair = builder.add(pair, _constant(across))
                    places.append(builder.gep(target, [builder.add(to, pair)]))
                    held.append(cgutils.alloca_once(builder, _LANES))
                    builder.store(ir.Constant(_LANES, [0.0] * WIDTH), held[-1])
            with cgutils.for_range_slice(builder, _constant(0), lanes, _constant(WIDTH)) as (lane, _):
                ys, xs = rows(left, first, j, high, lane), rows(right, start, i, wide, lane)
                pairs = [(one, other) for one in ys for other in xs]
                for (one, other), kept in zip(pairs, held, strict=True):
                    builder.store(builder.call(fused, [one, other, builder.load(kept)]), kept)
            for kept, place in zip(held, places, strict=True):
                builder.store(builder.fadd(builder.load(place), _sum(builder, builder.load(kept))), place)

        def row_of_blocks(j: Any, high: int) -> None:
            whole = builder.and_(inputs, _constant(-SQUARE))
            with cgutils.for_range_slice(builder, _constant(0), whole, _constant(SQUARE)) as (i, _):
                block(j, i, high, SQUARE)
            with cgutils.for_range_slice(builder, whole, inputs, _constant(1)) as (i, _):
                block(j, i, high, 1)

        whole = builder.and_(outputs, _constant(-SQUARE))
        with cgutils.for_range_slice(builder, _constant(0), whole, _constant(SQUARE)) as (j, _):
            row_of_blocks(j, SQUARE)
        with cgutils.for_range_slice(builder, whole, outputs, _constant(1)) as (j, _):
            row_of_blocks(j, 1)
        return context.get_dummy_value()

    return signature, generate
