"""The exponential on blocks, in one written-down order of operations: the same bits on every machine.

Range reduction by ln 2 in two parts (Cody & Waite 1980), then the minimax polynomial of Cephes' expf (Moshier), whose
error is below two units in the last place.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]

from .blocks import on_values, operation
from .lanes import INT32, call, fused

# Beyond these, the result is not a normal float32: it is zero, or held at the largest.
LOWEST, HIGHEST = -87.33654, 88.02969
LOG2_E, LN2_HIGH, LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
POLYNOMIAL = 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1
MANTISSA_BITS, BIAS = 23, 127


@operation
def exponential(typing: Any, block: Any) -> Any:
    """`exponential(block)`: e^x, element by element; 0 below -87.3, above 88 as at 88; NaN stays."""
    return block(block), on_values(emit_exponential)


@operation
def sigmoid(typing: Any, block: Any) -> Any:
    """`sigmoid(block)`: 1 / (1 + e^-x), element by element."""

    def emit(builder: Any, x: Any) -> Any:
        one = _constant(x, 1.0)
        return builder.fdiv(one, builder.fadd(one, emit_exponential(builder, builder.fneg(x))))

    return block(block), on_values(emit)


@operation
def tanh(typing: Any, block: Any) -> Any:
    """`tanh(block)`: 2 sigmoid(2x) − 1, element by element, to an absolute error of 1e-7."""

    def emit(builder: Any, x: Any) -> Any:
        one = _constant(x, 1.0)
        halved = builder.fdiv(one, builder.fadd(one, emit_exponential(builder, builder.fmul(x, _constant(x, -2.0)))))
        return fused(builder, halved, _constant(x, 2.0), _constant(x, -1.0))

    return block(block), on_values(emit)


@operation
def exponential_minus_one(typing: Any, block: Any) -> Any:
    """`exponential_minus_one(block)`: e^x − 1, element by element, as precise for small x; x is held as above."""

    def emit(builder: Any, x: Any) -> Any:
        rest, curve, scale = _reduced(builder, x)
        beyond_one = fused(builder, curve, builder.fmul(rest, rest), rest)
        return fused(builder, beyond_one, scale, builder.fsub(scale, _constant(x, 1.0)))

    return block(block), on_values(emit)


def emit_exponential(builder: Any, x: Any) -> Any:
    """The code of `exponential` for one vector."""
    tiny = builder.fcmp_ordered("<", x, _constant(x, LOWEST))
    rest, curve, scale = _reduced(builder, x)
    sum_ = fused(builder, curve, builder.fmul(rest, rest), builder.fadd(rest, _constant(x, 1.0)))
    return builder.select(tiny, _constant(x, 0.0), builder.fmul(sum_, scale))


def _reduced(builder: Any, x: Any) -> tuple[Any, Any, Any]:
    """r, p and a power of two such that e^x is that power times (1 + r + p r²)."""
    x = builder.select(builder.fcmp_ordered("<", x, _constant(x, LOWEST)), _constant(x, LOWEST), x)
    x = builder.select(builder.fcmp_ordered(">", x, _constant(x, HIGHEST)), _constant(x, HIGHEST), x)
    twos = call(builder, "rint", builder.fmul(x, _constant(x, LOG2_E)))
    rest = fused(builder, twos, _constant(x, -LN2_HIGH), x)
    rest = fused(builder, twos, _constant(x, -LN2_LOW), rest)
    curve = _constant(x, POLYNOMIAL[0])
    for coefficient in POLYNOMIAL[1:]:
        curve = fused(builder, curve, rest, _constant(x, coefficient))
    return rest, curve, _power_of_two(builder, twos)


def _power_of_two(builder: Any, exponent: Any) -> Any:
    """2 to whole numbers that a float32's exponent has room for, by writing them there; NaN gives anything."""
    count = exponent.type.count
    integers = ir.VectorType(INT32, count)
    whole = builder.fptosi(exponent, integers)
    shifted = builder.shl(
        builder.add(whole, ir.Constant(integers, [BIAS] * count)), ir.Constant(integers, [MANTISSA_BITS] * count)
    )
    return builder.bitcast(shifted, exponent.type)


def _constant(like: Any, value: float) -> Any:
    return ir.Constant(like.type, [value] * like.type.count)
