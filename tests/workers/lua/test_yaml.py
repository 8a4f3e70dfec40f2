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

    assert (ok, text.decode()) == ("yaml" in row, row.get("yaml", row.get("yaml_error")))


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

    assert not ok
    assert text == (
        b"did not find expected node content at document: 1, line: 3, column: 1\n"
        b"while parsing a flow node at line: 3, column: 1\n"
    )


ENCODE_USAGE = "Usage: encode(object, {tag_prefix = <string>, tag_handle = <string>})"
ERRORS = [
    ("yaml.encode()", ENCODE_USAGE),
    ("yaml.encode(1, 2)", ENCODE_USAGE),
    ("yaml.encode(1, {}, 3)", ENCODE_USAGE),
    ("yaml.encode(1, {tag_handle = '!e!'})", ENCODE_USAGE),
    ("yaml.decode()", "Usage: yaml.decode(document, [{tag_only = boolean}])"),
    ("yaml.decode({})", "Usage: yaml.decode(document, [{tag_only = boolean}])"),
    ("yaml.encode(print)", "unsupported Lua type 'function'"),
    ("yaml.cfg({nosuch = 1})", "yaml: unknown option 'nosuch'"),
    (
        "yaml.cfg({encode_sparse_ratio = -1})",
        "expected a whole number from 0 to 1000000000, got '-1'",
    ),
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


TAGS = [
    ("{}", b"--- 1\n...\n"),
    ("{tag_handle = '!e!', tag_prefix = 'tag:x'}", b"%TAG !e! tag:x\n--- 1\n...\n"),
    ("{tag_handle = 'e', tag_prefix = 'tag:x'}", (None, b"tag handle must start with '!'")),
    ("{tag_handle = '!e', tag_prefix = 'tag:x'}", (None, b"tag handle must end with '!'")),
    ("{tag_handle = '', tag_prefix = 'x'}", (None, b"tag handle must not be empty")),
    ("{tag_handle = '!e!', tag_prefix = ''}", (None, b"tag prefix must not be empty")),
    (
        "{tag_handle = '!-+!', tag_prefix = 'x'}",
        (None, b"tag handle must contain alphanumerical characters only"),
    ),
]


@pytest.mark.parametrize(("options", "result"), TAGS)
def test_a_tag_is_declared(run: Any, options: str, result: Any) -> None:
    assert run(f"return yaml.encode(1, {options})") == result


OPTIONS = [
    ("encode_number_precision = 3", "1/3", b"--- 0.333\n...\n"),
    ("encode_use_tostring = true", "ffi.typeof('int')", b"--- ctype<int>\n...\n"),
    ("encode_invalid_as_nil = true", "print", b"--- null\n...\n"),
    (
        "encode_load_metatables = false",
        "setmetatable({1}, {__serialize = 'map'})",
        b"---\n- 1\n...\n",
    ),
    ("encode_sparse_safe = 2", "{[3] = 1}", b"---\n3: 1\n...\n"),
    ("encode_invalid_numbers = false", "1/0", b"number must not be NaN or Inf"),
    ("encode_sparse_convert = false", "{[100] = 1}", b"excessively sparse array"),
]


@pytest.mark.parametrize(("option", "value", "text"), OPTIONS)
def test_an_instance_has_options_of_its_own(run: Any, option: str, value: str, text: bytes) -> None:
    source = f"""
        local mine, value = yaml.new(), setfenv(function() return {value} end, env)()
        local _, before = pcall(yaml.encode, value)
        mine.cfg({{{option}}})
        local _, text = pcall(mine.encode, value)
        local _, after = pcall(yaml.encode, value)
        return text, before == after
    """

    assert run(source) == (text, True)
