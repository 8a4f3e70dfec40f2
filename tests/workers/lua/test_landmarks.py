"""What every worker has by name: paths there and back."""

from __future__ import annotations

import pytest

from tests.helpers.lua import make_runtime
from workers.runtime import Runtime

SETUP = """
landmarks = require('beespace.engine.landmarks')
box = {deep = {deeper = {deepest = {beyond = {far = {}}}}}, same = string.format}
landmarks.attach()
mine = {}
function path(value)
  local found = landmarks.paths()[value]
  return found and landmarks.describe(found) or 'none'
end
"""


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    made = make_runtime()
    made.execute(SETUP)
    return made


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("_G", "_G"),
        ("print", "print"),
        ("string", "string"),
        ("string.format", "box.same"),
        ("box.deep.deeper.deepest.beyond", "box.deep.deeper.deepest.beyond"),
        ("box.deep.deeper.deepest.beyond.far", "none"),
        ("package.loaded", "package.loaded"),
        ("mine", "none"),
        ("function() end", "none"),
    ],
)
def test_paths(runtime: Runtime, value: str, path: str) -> None:
    assert runtime.execute(f"return path({value})") == path.encode()


def test_every_path_leads_back(runtime: Runtime) -> None:
    source = """
        local count = 0
        for value, path in pairs(landmarks.paths()) do
          assert(landmarks.find(path) == value, landmarks.describe(path))
          count = count + 1
        end
        return count"""
    assert runtime.execute(source) > 100


def test_modules_and_what_is_in_them(runtime: Runtime) -> None:
    source = """
        package.loaded.shop = {sell = function() end, stock = {apples = {}}}
        local shop = package.loaded.shop
        local told = table.concat({path(shop), path(shop.sell), path(shop.stock.apples)}, ' ')
        package.loaded.shop = nil
        return told"""
    told: bytes = runtime.execute(source)
    name = "require('shop')"
    assert told.decode() == f"{name} {name}.sell {name}.stock.apples"


def test_a_large_table_is_not_looked_into(runtime: Runtime) -> None:
    source = """
        local data = {first = {}}
        for n = 1, ... do data['key' .. n] = true end
        package.loaded.data = data
        local told = path(data.first)
        package.loaded.data = nil
        return told"""
    assert runtime.execute(source, 100) == b"require('data').first"
    assert runtime.execute(source, 6000) == b"none"


@pytest.mark.parametrize(
    "path",
    [
        "'global', 'nosuch'",
        "'global', 'print', 'x'",
        "'module', 'nosuch'",
        "'module', 'box.x', 'y'",
    ],
)
def test_a_path_that_leads_nowhere(runtime: Runtime, path: str) -> None:
    assert runtime.execute(f"return landmarks.find({{{path}}})") is None
