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

CONSOLE = r"""
local yaml = require('beespace.engine.yaml')
local codec = require('beespace.engine.codec')
local env = setmetatable({
  box = {NULL = codec.NULL, error = require('beespace.box.error').api},
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
