"""LLVM code between vectors of float32 and of bfloat16, which is the upper half of a float32."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]

from .lanes import INT32, spread, vector

INT16 = ir.IntType(16)
# Bits of a float32.
EXPONENT = 0x7F800000
UPPER = 16
QUIET = 0x40


def widened(builder: Any, halves: Any) -> Any:
    """float32 of bfloat16: exact."""
    patterns = builder.zext(halves, _integers(halves.type.count))
    shifted = builder.shl(patterns, _each(patterns, UPPER))
    return builder.bitcast(shifted, vector(halves.type.count))


def nearest(builder: Any, value: Any) -> Any:
    """bfloat16 of float32, to the nearest, of two to the even one; a NaN stays one."""
    patterns = builder.bitcast(value, _integers(value.type.count))
    odd = builder.and_(builder.lshr(patterns, _each(patterns, UPPER)), _each(patterns, 1))
    return _upper(builder, patterns, builder.add(odd, _each(patterns, 0x7FFF)))


def stochastic(builder: Any, value: Any, noise: Any, number: Any) -> Any:
    """As `rounding.stochastic`; noise: the row's int64, number: that of the first entry, an int64."""
    patterns = builder.bitcast(value, _integers(value.type.count))
    bits = builder.and_(_entry_bits(builder, noise, number, patterns), _each(patterns, 0xFFFF))
    return _upper(builder, patterns, bits)


def _upper(builder: Any, patterns: Any, addend: Any) -> Any:
    """The upper halves of patterns + addend; of what is not finite, the upper halves of the patterns."""
    shift, exponent = _each(patterns, UPPER), _each(patterns, EXPONENT)
    finite = builder.icmp_unsigned("!=", builder.and_(patterns, exponent), exponent)
    magnitude = builder.and_(patterns, _each(patterns, 0x7FFFFFFF))
    nan = builder.icmp_unsigned(">", magnitude, exponent)
    kept = builder.lshr(patterns, shift)
    # Without its lower half, a NaN could be taken for an infinity.
    kept = builder.or_(kept, builder.select(nan, _each(patterns, QUIET), _each(patterns, 0)))
    rounded = builder.lshr(builder.add(patterns, addend), shift)
    return builder.trunc(builder.select(finite, rounded, kept), ir.VectorType(INT16, patterns.type.count))


def _entry_bits(builder: Any, noise: Any, number: Any, like: Any) -> Any:
    """32 random bits an entry, from the row's noise and the entries' numbers, which follow one another."""
    upper = builder.trunc(builder.lshr(noise, ir.Constant(noise.type, 32)), INT32)
    first = builder.add(upper, builder.trunc(number, INT32))
    seeds = builder.add(spread(builder, first, like.type), ir.Constant(like.type, list(range(like.type.count))))
    lower = spread(builder, builder.trunc(noise, INT32), like.type)
    return _mixed(builder, builder.xor(_mixed(builder, seeds), lower))


def _mixed(builder: Any, x: Any) -> Any:
    """As `rounding.mixed`."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = builder.mul(builder.xor(x, builder.lshr(x, _each(x, shift))), _each(x, factor))
    return builder.xor(x, builder.lshr(x, _each(x, 16)))


def _integers(count: int) -> Any:
    return ir.VectorType(INT32, count)


def _each(like: Any, value: int) -> Any:
    return ir.Constant(like.type, [value] * like.type.count)
