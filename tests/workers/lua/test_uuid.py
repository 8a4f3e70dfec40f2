"""Module uuid: texts, byte orders, errors."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.lua import make_runtime

RUNTIME = make_runtime()
FORMS = RUNTIME.execute(
    """
    local uuid = require('uuid')
    return function(text)
      local u = uuid.fromstr(text)
      assert(uuid.frombin(u:bin()) == u and uuid.frombin(u:bin('n'), 'network') == u)
      assert(u:bin('l') == u:bin() and u:bin('h') == u:bin() and u:bin('b') == u:bin('n'))
      return u:str(), tostring(u), u:bin(), u:bin('n')
    end
    """
)


@settings(max_examples=100, deadline=None)
@given(st.uuids())
def test_forms_of_python(value: uuid.UUID) -> None:
    text, same, little, big = RUNTIME.call(FORMS, str(value).upper().encode())
    assert (text.decode(), same.decode()) == (str(value), str(value))
    assert (little, big) == (value.bytes_le, value.bytes)


def test_new_ones_are_random_and_version_4() -> None:
    source = "local u = require('uuid') return u.str(), tostring(u()), u.new():str(), #u.bin()"
    *texts, size = RUNTIME.execute(source)
    made = [uuid.UUID(text.decode()) for text in texts]
    assert len(set(made)) == 3
    assert [value.version for value in made] == [4, 4, 4]
    assert size == 16


def test_values_compare() -> None:
    source = """
    local uuid = require('uuid')
    local a = uuid.fromstr('00000000-0000-0000-0000-000000000001')
    local b = uuid.fromstr('01000000-0000-0000-0000-000000000000')
    assert(a ~= b and a == uuid.fromstr(a:str()))
    assert(a ~= nil and a ~= 'x')
    assert(uuid.NULL:isnil() and not a:isnil() and uuid.is_uuid(a) and not uuid.is_uuid('a'))
    assert(uuid.fromstr('zz') == nil and uuid.fromstr(a:str() .. ' ') == nil)
    return true"""
    assert RUNTIME.execute(source) is True


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("uuid.fromstr(5)", "fromstr(str)"),
        ("uuid.frombin('x')", "frombin(bin, [byteorder])"),
        ("uuid.frombin(5)", "frombin(bin, [byteorder])"),
        ("uuid.new():bin('q')", "invalid byteorder, valid is l, b, h, n"),
        ("uuid.new().bin()", "Usage: uuid:bin([byteorder])"),
        ("uuid.new().str()", "Usage: uuid:str()"),
        ("uuid.new().isnil()", "Usage: uuid:isnil()"),
        ("uuid.new() < 5", "attempt to compare 'struct tt_uuid' with 'number'"),
        ("uuid.new() < uuid.NULL", "attempt to compare 'struct tt_uuid' with 'struct tt_uuid'"),
        ("uuid.new() <= uuid.NULL", "attempt to compare 'struct tt_uuid' with 'struct tt_uuid'"),
        ("uuid.new() + 1", "attempt to perform arithmetic on 'struct tt_uuid' and 'number'"),
        ("uuid.new().foo", "'struct tt_uuid' has no member named 'foo'"),
    ],
)
def test_errors(call: str, text: str) -> None:
    source = f"local uuid = require('uuid') return select(2, pcall(function() return {call} end))"
    assert RUNTIME.execute(source).decode().endswith(text)
