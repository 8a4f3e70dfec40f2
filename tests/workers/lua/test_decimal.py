"""Module decimal, against Python's decimal with Tarantool's 38 digits and half-up rounding."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.codec import make_codec
from tests.helpers.engine import Engine
from tests.helpers.library import differences, recorded
from tests.helpers.lua import make_runtime

RUNTIME = make_runtime()
CONTEXT = decimal.Context(prec=38, rounding=decimal.ROUND_HALF_UP, Emax=999, Emin=-999)
RUN = RUNTIME.execute(
    """
    local new = require('decimal').new
    return function(a, b)
      local x, y = new(a), new(b)
      return tostring(x + y), tostring(x - y), tostring(x * y), x < y, x <= y, x == y
    end
    """
)
# Small enough for exact scales of at most 38 digits after the point in every result.
numbers = st.decimals(-(10**15), 10**15, places=9) | st.integers(-(10**18), 10**18).map(Decimal)


@settings(max_examples=400, deadline=None)
@given(numbers, numbers)
def test_arithmetic(a: Decimal, b: Decimal) -> None:
    x, y = (f"{value:f}".encode() for value in (a, b))
    total, difference, product, less, at_most, equal = RUNTIME.call(RUN, x, y)
    assert Decimal(total.decode()) == CONTEXT.add(a, b)
    assert Decimal(difference.decode()) == CONTEXT.subtract(a, b)
    assert Decimal(product.decode()) == CONTEXT.multiply(a, b)
    assert (less, at_most, equal) == (a < b, a <= b, a == b)


# What a Tarantool 2.6.0 printed and encoded.
@pytest.mark.parametrize(
    ("value", "text", "data"),
    [
        ("'1.5'", "1.5", "c7 03 01 01 01 5c"),
        ("'1e5'", "100000", "d5 01 fb 1c"),
        ("'-0'", "-0", "d5 01 00 0d"),
        ("'0.00'", "0.00", "d5 01 02 0c"),
        ("'123.4500'", "123.4500", "c7 05 01 04 12 34 50 0c"),
        ("'1e37'", "1" + "0" * 37, "c7 03 01 d0 db 1c"),
        ("'1e-39'", "0." + "0" * 38, "d5 01 26 0c"),
        ("'.5'", "0.5", "d5 01 01 5c"),
        ("'5.'", "5", "d5 01 00 5c"),
        ("'00012'", "12", "c7 03 01 00 01 2c"),
        ("0.1", "0.1", "d5 01 01 1c"),
        ("2^53", "9007199254740990", "c7 09 01 ff 90 07 19 92 54 74 09 9c"),
        ("1e20", "100000000000000000000", "d5 01 ec 1c"),
        ("-5LL", "-5", "d5 01 00 5d"),
        ("18446744073709551615ULL", "18446744073709551615",
         "c7 0c 01 00 01 84 46 74 40 73 70 95 51 61 5c"),
    ],
)  # fmt: skip
def test_goldens(value: str, text: str, data: str) -> None:
    codec = make_codec()
    assert codec.pack(f"return tostring(require('decimal').new({value}))")[1:].endswith(
        text.encode()
    )
    assert codec.pack(f"return require('decimal').new({value})").hex(" ") == data


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("new()", "usage: decimal.new(value)"),
        ("new({})", "expected decimal, number or string as 1 argument"),
        ("new(true)", "expected decimal, number or string as 1 argument"),
        ("new('x')", "incorrect value to convert to decimal as 1 argument"),
        ("new('')", "incorrect value to convert to decimal as 1 argument"),
        ("new('1e')", "incorrect value to convert to decimal as 1 argument"),
        ("new('1e38')", "incorrect value to convert to decimal as 1 argument"),
        ("new(1/0)", "incorrect value to convert to decimal as 1 argument"),
        ("new('1') + {}", "expected decimal, number or string as 2 argument"),
        ("new('1') + 'x'", "incorrect value to convert to decimal as 2 argument"),
        ("new('1') < nil", "attempt to compare decimal with nil"),
        ("new('1e37') * new('1e37')", "decimal operation failed"),
        ("new('9e37') + new('9e37')", "decimal operation failed"),
    ],
)
def test_errors(call: str, text: str) -> None:
    source = (
        f"local new = require('decimal').new return select(2, pcall(function() return {call} end))"
    )
    assert RUNTIME.execute(source).decode().endswith(text)


def test_the_rest() -> None:
    source = """
    local decimal = require('decimal')
    local n = decimal.new
    assert(n('1.5') == 1.5 and n('1.5') == '1.50' and 1 + n('1') == 2)
    assert(n('5') ~= nil and n('5') ~= {})
    assert(tostring(-n('1.5')) == '-1.5' and tostring(-n('0')) == '0' and n(n('1')) == 1)
    assert(decimal.is_decimal(n('1')) and not decimal.is_decimal(1))
    assert(tostring(decimal.abs('-2.50')) == '2.50')
    assert(decimal.scale('1.250') == 3 and decimal.scale('1e5') == 0)
    assert(decimal.precision('.08') == 2 and decimal.precision('1e5') == 6)
    return true"""
    assert RUNTIME.execute(source) is True


def test_as_tarantool(engine: Engine) -> None:
    assert differences(engine, recorded("decimal")) == {}
