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

# A scalar may be referred to.
OUR_VALUES = {
    "a: &x 1\nb: *x": ['table {"a":1,"b":1}'],
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
    ("yaml.cfg()", "bad argument #2 to '?' (table expected, got no value)"),
    ("yaml.cfg(nil)", "bad argument #2 to '?' (table expected, got nil)"),
    ("yaml.cfg(5)", "bad argument #2 to '?' (table expected, got number)"),
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
    ("encode_max_depth = 1, decode_max_depth = 1000", "{{{1}}}", b"---\n- - - 1\n...\n"),
    ("encode_deep_as_nil = true", "{{{1}}}", b"---\n- - - 1\n...\n"),
    ("encode_number_precision = 0", "1/3", b"--- 0.33333333333333\n...\n"),
    ("encode_number_precision = 1", "1/3", b"--- 0.3\n...\n"),
    ("encode_number_precision = 30", "1/3", b"--- 0.33333333333333\n...\n"),
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


def test_tables_may_be_shared_be_keys_and_hold_themselves(run: Any) -> None:
    assert run("local r = yaml.decode('a: &x [1]\\nb: *x') return r.a == r.b") is True
    assert run("local r = yaml.decode('&x [*x, 1]') return r[1] == r, r[2]") == (True, 1)
    assert run("local r = yaml.decode('{[7]: 2}') local k, v = next(r) return k[1], v") == (7, 2)


def test_references_that_multiply_are_shared(run: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]

    text = "\n".join(lines).encode()

    assert run("local r = yaml.decode(...) return r.a29[1] == r.a28 and r.a28[10] == r.a27", text)


def test_decoded_tables_are_printed_on_one_line(run: Any) -> None:
    text = "return yaml.encode(yaml.decode('- [1, b]\\n- {d: e}'))"

    assert run(text) == b"--- [[1, 'b'], {'d': 'e'}]\n...\n"
    assert run("yaml = yaml.new() yaml.cfg{decode_save_metatables = false} " + text) == (
        b"---\n- - 1\n  - b\n- d: e\n...\n"
    )


TAG = "'%TAG !e! tag:x\\n--- 1\\n'"
DECODED_TAGS = [
    (TAG, (b"!e!", b"tag:x")),
    ("'--- 1'", None),
    ("''", None),
    ("'%TAG !e! tag:x\\n%TAG !f! tag:y\\n--- 1\\n'", (None, b"can not decode multiple tags")),
]


@pytest.mark.parametrize(("text", "tag"), DECODED_TAGS)
def test_the_tag_of_a_text(run: Any, text: str, tag: Any) -> None:
    assert run(f"return yaml.decode({text}, {{tag_only = true}})") == tag
    assert run(f"return yaml.decode({TAG}, {{tag_only = false}})") == 1


def test_numbers_that_are_none_can_be_refused(run: Any) -> None:
    for number in ("nan", "-inf", "!!float inf"):
        ok, text = run(
            "local y = yaml.new() y.cfg{decode_invalid_numbers = false} "
            "return pcall(y.decode, ...)",
            number.encode(),
        )
        assert (ok, text) == (False, b"number must not be NaN or Inf")
    ok, text = run("return pcall(yaml.decode, 'nan: 1')")
    assert (ok, text) == (False, b"table index is NaN")


TAGGED = [
    ("!!str 1", b"1"),
    ("!!int 12abc", 12),
    ("!!int abc", 0),
    ("!!float 1.5", 1.5),
    ("!!bool yes", True),
    ("!!bool x", False),
    ("!foo 1", 1),
    ("!!null x", b"x"),
    ("!!binary aGVsbG8=", b"hello"),
    ("9" * 40, 2**64 - 1),
    ("-" + "9" * 40, -(2**63)),
    ("0" * 40 + "7", 7),
]


@pytest.mark.parametrize(("text", "value"), TAGGED)
def test_scalars_with_tags_and_long_numbers(run: Any, text: str, value: Any) -> None:
    printed = run("return tostring((yaml.decode(...)))", text.encode()).decode()

    wanted = value.decode() if isinstance(value, bytes) else str(value)
    assert printed.rstrip("UL") == wanted.replace("True", "true").replace("False", "false")
