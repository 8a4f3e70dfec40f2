"""yaml against results of the real Tarantool 2.6.0, kept in tests/data/tarantool_*.json."""

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
    if row["format"] == "yaml"
]

# Where we differ on purpose: an empty text comes back as one, NaN has no sign, and tables are
# never put on one line.
OUR_TEXTS = {
    '""': "--- ''\n...\n",
    "0/0": "--- nan\n...\n",
    'setmetatable({1,2},{__serialize="map"})': "---\n1: 1\n2: 2\n...\n",
}

# A scalar may be referred to; integers beyond 64 bits are doubles; keys are scalars.
OUR_VALUES = {
    "18446744073709551616": ["number 1.844674407371e+19"],
    "-9223372036854775809": ["number -9223372036854775808"],
    "{[1]: 2}": None,
    "a: &x 1\nb: *x": ['table {"a":1,"b":1}'],
    "0x1p4": ['string "0x1p4"'],
}

PRELUDE = """
local yaml, json = require('yaml'), require('json')
local env = setmetatable({
  box = {NULL = yaml.NULL, error = require('beespace.box.error').api},
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
        "return pcall(yaml.encode, setfenv(loadstring('return ' .. ...), env)())",
        row["lua"].encode(),
    )

    wanted = OUR_TEXTS.get(row["lua"], row.get("yaml", row.get("yaml_error")))
    assert (ok, text.decode()) == ("yaml" in row, wanted)


def sorted_keys(line: str) -> Any:
    """Type and value, whatever the order of the keys; tables JSON cannot print are just tables."""
    kind, _, text = line.partition(" ")
    try:
        return kind, json.loads(text)
    except json.JSONDecodeError:
        return kind, text


@pytest.mark.parametrize("row", DECODED, ids=lambda row: row["text"][:30] or "empty")
def test_decode_as_tarantool(run: Any, row: dict[str, Any]) -> None:
    wanted = OUR_VALUES.get(row["text"], row.get("values"))

    ok, value = run(
        """
        local r = {pcall(yaml.decode, ...)}
        if not r[1] then
          return false, r[2]
        end
        local lines = {}
        for i = 2, #r do
          local ok, text = pcall(json.encode, r[i])
          lines[i - 1] = type(r[i]) .. ' ' .. (ok and text or 'table')
        end
        return true, table.concat(lines, '\\n')
        """,
        row["text"].encode(),
    )

    assert ok is (wanted is not None)
    if wanted is not None:
        got = value.decode().split("\n") if value else []
        assert [sorted_keys(line) for line in got] == [sorted_keys(line) for line in wanted]


@given(text=st.binary(max_size=40))
def test_any_text_comes_back(run: Any, text: bytes) -> None:
    assert run("return yaml.decode(yaml.encode({a = {...}})).a[1]", text) == text


def test_errors_say_where(run: Any) -> None:
    ok, text = run("return pcall(yaml.decode, 'a: 1\\nb: [')")

    assert (ok, text) == (False, b"did not find expected node content at line 3, column 1")


ERRORS = [
    ("yaml.encode()", "Usage: yaml.encode(value[, options])"),
    ("yaml.decode()", "yaml.decode: expected a string, got no value"),
    ("yaml.encode(1, {tag_handle = '!e!'})", "yaml: unknown option 'tag_handle'"),
    ("yaml.encode(print)", "unsupported Lua type 'function'"),
    ("local r = {} r[1] = r yaml.encode(r)", "Too high nest level - 129"),
    ("yaml.decode(('['):rep(200))", "Too high nest level - 128"),
]


@pytest.mark.parametrize(("source", "text"), ERRORS)
def test_errors(run: Any, source: str, text: str) -> None:
    ok, raised = run(f"return pcall(function() {source} end)")

    assert not ok
    assert raised.decode().endswith(text)


def test_several_documents(run: Any) -> None:
    assert run("return yaml.decode('--- 1\\n...\\n--- a\\n...\\n')") == (1, b"a")
    assert run("return select('#', yaml.decode(''))") == 0
    assert run("return select('#', yaml.decode('--- 1\\n--- ~\\n'))") == 2
