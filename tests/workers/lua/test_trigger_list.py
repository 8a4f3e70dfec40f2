"""Trigger lists: the calls and their texts, as Tarantool 2.6 answers them."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, error_of

SETUP = """
local f, g, h = function() return 'f' end, function() return 'g' end, function() return 'h' end
local s = require('beespace.box.trigger_list').new()
local function names() local n = '' for _, each in ipairs(s()) do n = n .. each() end return n end
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("return #s()", [0]),
        ("return s(f) == f, s(g) == g, names()", [True, True, "fg"]),
        ("s(f) s(g) s(f) return names()", ["fgf"]),
        ("s(f) s(g) s(f) return s(h, g) == h, names()", [True, "fhf"]),
        ("s(f) s(g) s(f) return select('#', s(nil, f)), names()", [1, "gf"]),
        ("s(f) s(f, f, f) return names()", ["f"]),
        ("s(f) return #s(nil), #s(nil, nil)", [1, 1]),
        ("s(f) s()[1] = g return names()", ["f"]),
    ],
)
def test_results(client: Client, source: str, expected: list[object]) -> None:
    assert client.eval(SETUP + source).data == expected


@pytest.mark.parametrize("arguments", ["1", "f, 1", "nil, 1", "{}", "'f'", "box.NULL, true"])
def test_wrong_arguments(client: Client, arguments: str) -> None:
    answer = client.eval(SETUP + f"s({arguments})")
    assert error_of(answer) == (32, "trigger reset: incorrect arguments")


@pytest.mark.parametrize("arguments", ["h, g", "nil, g"])
def test_an_old_function_that_is_not_there(client: Client, arguments: str) -> None:
    answer = client.eval(SETUP + f"s(f) s({arguments})")
    assert error_of(answer) == (32, "trigger reset: Trigger is not found")


def test_functions_run_newest_first(client: Client) -> None:
    source = """
        local on, run = require('beespace.box.trigger_list').new()
        local seen = {}
        on(f) on(g)
        run(function(each) seen[#seen + 1] = each() on(nil, each) end)
        return seen, #on()"""
    assert client.eval(SETUP + source).data == [["g", "f"], 0]
