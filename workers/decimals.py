"""Arithmetic of decimals that Lua leaves to Python: division, powers, roots and logarithms.

:mod:`workers.bridge` offers :func:`decimal` to ``modules/decimal.lua``. Operands and results are
texts; results have at most 38 digits, rounded half up, as Tarantool's have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException
from typing import Final

_CONTEXT: Final = Context(prec=38, rounding=ROUND_HALF_UP)

_OPERATIONS: Final[Mapping[bytes, Callable[..., Decimal]]] = {
    b"divide": _CONTEXT.divide,
    b"remainder": _CONTEXT.remainder,
    b"power": _CONTEXT.power,
    b"exp": _CONTEXT.exp,
    b"ln": _CONTEXT.ln,
    b"log10": _CONTEXT.log10,
    b"sqrt": _CONTEXT.sqrt,
}


def decimal(operation: bytes, *operands: bytes | None) -> bytes:
    """The result as text; ValueError where there is none, as for a division by zero."""
    numbers = [Decimal(each.decode()) for each in operands if each is not None]
    try:
        result = _OPERATIONS[operation](*numbers)
    except DecimalException as error:
        raise ValueError("decimal operation failed") from error
    if not result.is_finite():
        raise ValueError("decimal operation failed")
    return str(result).encode()
