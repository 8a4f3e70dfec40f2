"""json against results of the real Tarantool 2.6.0, kept in tests/data/tarantool_*.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.lua import make_runtime
from workers import bridge

DATA = Path(__file__).parents[2] / "data"
TEXTS = json.loads((DATA / "tarantool_texts.json").read_text())
DECODED = [
    row
    for row in json.loads((DATA / "tarantool_decode.json").read_text())
    if row["format"] == "json"
]

# Where we differ on purpose: the names of other JSON writers are read, an integer beyond 64 bits
# becomes a double instead of the largest integer, and a number must be one in JSON's grammar.
OURS = {
    "NaN": ["number nan"],
    "Infinity": ["number inf"],
    "-Infinity": ["number -inf"],
    "18446744073709551616": ["number 1.844674407371e+19"],
    "1.": None,
}

PRELUDE = """
local json = require('json')
local env = setmetatable({
  box = {NULL = json.NULL, error = require('beespace.box.error').api},
  decimal = require('decimal'),
  ffi = require('ffi'),
  u = require('uuid').fromstr('64d22e4d-ac92-4a23-899a-e59f34af5479'),
}, {__index = _G})
"""


@pytest.fixture(scope="module")
def run() -> Any:
    runtime = make_runtime(bridge.make_services(bridge.Context(version="1")))

    def execute(source: str, *arguments: Any) -> Any:
        return runtime.execute(PRELUDE + source, *arguments)

    return execute


@pytest.mark.parametrize("row", TEXTS, ids=lambda row: row["lua"][:30])
def test_encode_as_tarantool(run: Any, row: dict[str, str]) -> None:
    ok, text = run(
        "return pcall(json.encode, setfenv(loadstring('return ' .. ...), env)())",
        row["lua"].encode(),
    )

    assert (ok, text.decode()) == ("json" in row, row.get("json", row.get("json_error")))


@pytest.mark.parametrize("row", DECODED, ids=lambda row: row["text"][:30])
def test_decode_as_tarantool(run: Any, row: dict[str, Any]) -> None:
    wanted = OURS.get(row["text"], row.get("values"))

    ok, value = run(
        """
        local ok, value = pcall(json.decode, ...)
        return ok, ok and type(value) .. ' ' .. json.encode(value) or value
        """,
        row["text"].encode(),
    )

    assert ok is (wanted is not None)
    if wanted is not None:
        assert [value.decode()] == wanted


def test_kinds_of_tables_are_kept(run: Any) -> None:
    assert run("return json.encode(json.decode('[{}, [], {\"1\": []}]'))") == b'[{},[],{"1":[]}]'


def test_null(run: Any) -> None:
    assert run(
        "return json.decode('null') == nil, json.NULL == env.box.NULL, json.null == nil"
    ) == (
        True,
        True,
        True,
    )


json_values = st.recursive(
    st.booleans() | st.integers(-(10**13), 10**13) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=15,
)


@given(value=json_values)
def test_comes_back(run: Any, value: Any) -> None:
    text = json.dumps(value).encode()

    assert json.loads(run("return json.encode(json.decode(...))", text)) == value


def test_options(run: Any) -> None:
    assert run("return json.encode({1/3}, {encode_number_precision = 3})") == b"[0.333]"
    assert run("""
      local own = json.new()
      own.cfg{encode_number_precision = 2}
      return own.encode(1/3), json.encode(1/3), own.cfg.encode_number_precision
    """) == (b"0.33", b"0.33333333333333", 2)


ERRORS = [
    ("json.encode()", "bad argument #1 to 'encode' (expected 1 or 2 arguments)"),
    ("json.encode(1, {}, 3)", "bad argument #1 to 'encode' (expected 1 or 2 arguments)"),
    ("json.encode(1, 2)", "json: expected a table of options, got number"),
    ("json.decode()", "bad argument #1 to 'decode' (expected 1 or 2 arguments)"),
    ("json.decode({})", "bad argument #1 to 'decode' (string expected, got table)"),
    ("json.cfg(5)", "bad argument #2 to '?' (table expected, got number)"),
    ("json.cfg{foo = 1}", "json: unknown option 'foo'"),
    ("json.cfg{encode_use_tostring = true}",
     "json: option 'encode_use_tostring' cannot be changed from false"),
    ("json.cfg{encode_number_precision = 'x'}",
     "json: option 'encode_number_precision': expected a whole number from 1 to 16, got 'x'"),
    ("json.encode(0/0, {encode_invalid_numbers = false})", "number must not be NaN or Inf"),
    ("json.decode('nan', {decode_invalid_numbers = false})",
     "Expecting value on line 1 at character 1"),
    ("json.decode('[[[1]]]', {decode_max_depth = 2})",
     "Found too many nested data structures (3) on line 1 at character 3"),
    ("json.decode('[1,\\n2,]')",
     "Expected value but found T_ARR_END on line 2 at character 3"),
    ("json.encode(print)", "unsupported Lua type 'function'"),
    ("local r = {} r[1] = r json.encode(r)", "Too high nest level - 129"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "text"), ERRORS)
def test_errors(run: Any, source: str, text: str) -> None:
    ok, raised = run(f"return pcall(function() {source} end)")

    assert not ok
    assert raised.decode().endswith(text)


def test_a_bad_option_changes_nothing(run: Any) -> None:
    assert (
        run("""
      local own = json.new()
      pcall(own.cfg, {encode_number_precision = 2, foo = 1})
      return own.cfg.encode_number_precision
    """)
        == 14
    )
