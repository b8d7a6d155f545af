"""Vectors of 16 numbers in compiled code, one lane for each of 16 parallel computations."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .causal import LANES

REAL = ir.VectorType(ir.FloatType(), LANES)
"""Vector of single precision."""
WHOLE = ir.VectorType(ir.IntType(32), LANES)
"""Vector of 32-bit integers."""
LONG = ir.IntType(64)


def constant(kind: Any, value: float) -> Any:
    """Return a vector of equal constants."""
    return ir.Constant(kind, [value] * LANES)


def everywhere(builder: Any, value: Any, kind: Any) -> Any:
    """Return a vector of equal values."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, constant(WHOLE, 0))


def data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return the address of an array's first value; indices from it must not be negative."""
    return context.make_array(kind)(context, builder, array).data


def load(builder: Any, base: Any, start: Any, kind: Any) -> Any:
    """Return the vector that starts at an index of an array."""
    value = builder.load(builder.bitcast(builder.gep(base, [start]), kind.as_pointer()))
    value.align = 4
    return value


def store(builder: Any, value: Any, base: Any, start: Any) -> None:
    """Write a vector to an array, starting at an index."""
    place = builder.bitcast(builder.gep(base, [start]), value.type.as_pointer())
    builder.store(value, place).align = 4


def call(builder: Any, name: str, value: Any) -> Any:
    """Return the result of an LLVM intrinsic, such as ``sqrt`` or ``fabs``, for a vector."""
    from numba.core.cgutils import get_or_insert_function

    kind = ir.FunctionType(REAL, [REAL])
    function = get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, [value])
