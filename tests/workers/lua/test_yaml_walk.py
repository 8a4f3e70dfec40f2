"""What the console prints, against answers of the real Tarantool 2.6.0 in tests/data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.lua import lua_function, make_runtime
from workers import bridge
from workers.runtime import Runtime

DATA = Path(__file__).parents[2] / "data"
GOLDENS = [
    row
    for row in map(json.loads, (DATA / "console_golden.jsonl").read_text().strip("\n").split("\n"))
    if row.get("pure")
]

# Generated expressions with what the same server answered.
ANSWERS = json.loads((DATA / "tarantool_answers.json").read_text())

CONSOLE = r"""
local yaml = require('beespace.engine.yaml')
local codec = require('beespace.engine.codec')
local env = setmetatable({
  box = {
    NULL = codec.NULL,
    error = require('beespace.box.error').api,
    tuple = require('beespace.box.tuple').api,
  },
  decimal = require('decimal'),
  ffi = require('ffi'),
  uuid = require('uuid'),
  tonumber64 = tonumber,
}, {__index = _G})
local function answer(ok, ...)
  if not ok then
    return yaml.failure((...))
  end
  local rendered, text = pcall(yaml.answer, ...)
  if rendered then
    return text
  end
  return yaml.failure('console: an exception occurred when formatting the output: ' .. text)
end
return function(line)
  local chunk, problem = loadstring('return ' .. line)
  if chunk == nil then
    chunk, problem = loadstring(line)
  end
  if chunk == nil then
    return yaml.failure(problem)
  end
  return answer(pcall(setfenv(chunk, env)))
end
"""


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return make_runtime(bridge.make_services(bridge.Context(version="1")))


@pytest.fixture(scope="module")
def console(runtime: Runtime) -> Any:
    return lua_function(runtime, CONSOLE)


def normalised(text: str, row: dict[str, Any]) -> Any:
    """Addresses hidden; the lines of mappings in any order where theirs is free."""
    text = re.sub(r"0x[0-9a-f]{6,}", "0x<ADDR>", text) if "normalised" in row else text
    if row.get("unordered") or row.get("order_dependent"):
        return sorted(line.lstrip("- ") for line in text.split("\n"))
    return text


@pytest.mark.parametrize("row", GOLDENS, ids=lambda row: f"{row['group']}/{row['name']}")
def test_prints_as_tarantool(console: Any, row: dict[str, Any]) -> None:
    text = console(row["input"].removesuffix("\n").encode()).decode()

    assert normalised(text, row) == normalised(row["output"], row)


def test_prints_generated_values_as_tarantool(console: Any) -> None:
    differ = [row for row in ANSWERS if console(row["lua"].encode()).decode() != row["answer"]]

    assert differ == []


NEWEST = [
    ("'a\\nb'", "- |-\n  a\n  b"),
    ("'a\\n'", "- |\n  a"),
    ("setmetatable({'a\\nb'}, {__serialize = 'seq'})", "- ['a\n\n    b']"),
    ("''", "- "),
    ("{k = ''}", "- k: "),
    ("{[''] = ''}", "- '': "),
    ("'caf\\233'", '- "caf\\xE9"'),
    ("'\\240\\159\\152\\128'", "- \U0001f600"),
]


@pytest.mark.parametrize(("source", "printed"), NEWEST)
def test_the_newest_rules(runtime: Runtime, source: str, printed: str) -> None:
    assert newest(runtime, source) == f"---\n{printed}\n...\n"


def newest(runtime: Runtime, source: str) -> str:
    """The answer of a console with the newest rules."""
    text = runtime.execute(
        """
        local yaml = require('beespace.engine.yaml')
        yaml.dialect = 'new'
        local ok, text = pcall(yaml.answer, assert(loadstring('return ' .. ...))())
        yaml.dialect = '2.6'
        return text
        """,
        source.encode(),
    )
    return str(text.decode())


def test_what_serialize_says_is_shared_by_the_newest_rules(runtime: Runtime, console: Any) -> None:
    source = (
        "(function() local t = setmetatable({}, {__serialize = function() return {1} end}) "
        "return {t, t} end)()"
    )

    assert newest(runtime, source) == "---\n- - &0\n    - 1\n  - *0\n...\n"
    assert console(source.encode()) == b"---\n- - - 1\n  - - 1\n...\n"


def failure(console: Any, source: str) -> str:
    """The text of an answer that could not be rendered, unfolded."""
    text = " ".join(console(source.encode()).decode().split())
    prefix = "--- - error: 'console: an exception occurred when formatting the output: "
    assert text.startswith(prefix), text
    return str(text[len(prefix) :].removesuffix("' ..."))


ENDLESS = "__serialize answers with what has to be asked again, more than 200 times"
# The newest rules ask a table once.
GUARDED = [
    ("t", ENDLESS),
    ("{t, t}", "---\n- &0\n  - *0\n  - *0\n...\n"),
    ("{[t] = t}", "---\n- &0\n  *0: *0\n...\n"),
]


@pytest.mark.parametrize(("answer", "printed"), GUARDED)
def test_an_answer_that_has_to_be_asked_again_for_ever(
    runtime: Runtime, console: Any, answer: str, printed: str
) -> None:
    source = f"setmetatable({{}}, {{__serialize = function(t) return {answer} end}})"

    assert failure(console, source) == ENDLESS
    assert newest(runtime, source) == printed


def test_tables_that_are_too_deep(runtime: Runtime, console: Any) -> None:
    deep = "(function() local t = {} for _ = 1, 100000 do t = {t} end return t end)()"
    hidden = (
        "(function() local x = {} x[1] = x "
        "return setmetatable({}, {__serialize = function() return x end}) end)()"
    )

    for source in (deep, hidden):
        assert failure(console, source) == "tables are nested too deep to be printed"
    assert newest(runtime, hidden) == "---\n- &0\n  - *0\n...\n"
    assert newest(runtime, deep) == "tables are nested too deep to be printed"


def test_an_index_from_a_mistake(console: Any) -> None:
    assert failure(console, "setmetatable({[4e9] = 1}, {__serialize = 'seq'})") == (
        "array is too long: its largest index is 4000000000, the limit is 100000000"
    )


def test_labels_of_several_streams(runtime: Runtime) -> None:
    text = runtime.execute(
        """
        local yaml = require('beespace.engine.yaml')
        local shared = {1}
        return yaml.labelled({
          {label = 'worker 0', stream = yaml.stream(true, {shared, shared}, 'x')},
          {label = 'worker 1', stream = yaml.stream(false, 'went wrong')},
          {label = 'worker 2', stream = yaml.stream(true)},
          {label = 'worker 3', stream = yaml.stream(true, {shared, shared})},
        })
        """
    )

    assert text.decode() == (
        "---\n"
        "- worker 0:\n  - - &0\n      - 1\n    - *0\n  - x\n"
        "- worker 1:\n  - error: went wrong\n"
        "- worker 2: []\n"
        "- worker 3:\n  - - &1\n      - 1\n    - *1\n"
        "...\n"
    )


PUSHES = [
    ("1", "--- 1"),
    ("nil", "--- null"),
    ("''", "---"),
    ("{1, 2}", "---\n- 1\n- 2"),
]


@pytest.mark.parametrize(("source", "printed"), PUSHES)
def test_pushes_declare_their_tag(runtime: Runtime, source: str, printed: str) -> None:
    text = runtime.execute(f"return require('beespace.engine.yaml').push({source})")

    assert text.decode() == f"%TAG !push! tag:tarantool.io/push,2018\n{printed}\n...\n"
