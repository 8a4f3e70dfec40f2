"""Arithmetic of decimals in Python: what it gives, and where there is no result."""

from __future__ import annotations

import pytest

from workers.decimals import decimal


@pytest.mark.parametrize(
    ("operation", "operands", "result"),
    [
        (b"divide", (b"2", b"3"), b"0." + b"6" * 37 + b"7"),
        (b"remainder", (b"-7", b"3"), b"-1"),
        (b"power", (b"2", b"10"), b"1024"),
        (b"sqrt", (b"2", None), b"1.4142135623730950488016887242096980786"),
        (b"log10", (b"100",), b"2"),
    ],
)
def test_results(operation: bytes, operands: tuple[bytes | None, ...], result: bytes) -> None:
    assert decimal(operation, *operands) == result


@pytest.mark.parametrize(
    ("operation", "operands"),
    [
        (b"divide", (b"1", b"0")),
        (b"remainder", (b"1", b"0")),
        (b"power", (b"0", b"0")),
        (b"power", (b"-8", b"0.5")),
        (b"ln", (b"-1",)),
        (b"ln", (b"0",)),
        (b"sqrt", (b"-1",)),
        (b"exp", (b"1e9",)),
    ],
)
def test_no_result(operation: bytes, operands: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="decimal operation failed"):
        decimal(operation, *operands)
