"""Completion: what a word goes on with, compared with what Tarantool 2.6.0 answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.lua import lua_function, make_runtime

SETUP = """
zz = {alpha = 1, alps = print, _hid = 1, ['a b'] = 1, 2, ['end'] = 3, sub = {x = 1, y = print},
  ['1x'] = 4, ['\\208\\191'] = 1, str = 's'}
zown = setmetatable({own = 1}, {__index = setmetatable({own3 = print}, {__index = {own4 = 1}})})
zasked = setmetatable({}, {__index = function() asked = true return {q = 1} end})
zknown = setmetatable({}, {__index = function() asked = true end, known = {k1 = {k2 = print}}})
zboom = setmetatable({q = 1}, {__index = function() error('boom') end, __pairs = error})
zloop = {a = 1}; setmetatable(zloop, {__index = zloop})
zcalled = {c1 = setmetatable({}, {__call = print}), c2 = print}
zlocked = setmetatable({p1 = 1}, {__index = {p2 = 2}, __metatable = 'locked'})
zuser = newproxy(true); getmetatable(zuser).__index = {um = print, uf = 1}
zboth = setmetatable({a1 = 1, a2 = 2}, {__index = {a1 = print, a3 = 3}})
znull = require('ffi').cast('void *', 0)
ztext = 'text'
zbig = {} for i = 1, 2000 do zbig['k' .. i] = i end
zchain = {c0 = 1}
local last = zchain
for i = 1, 30 do
  local next = {['c' .. i] = 1}
  setmetatable(last, {__index = next})
  last = next
end
"""

RUNTIME = make_runtime()
RUNTIME.execute(SETUP)
COMPLETE = lua_function(
    RUNTIME,
    """
    local complete = require('beespace.engine.completion').complete
    return function(...)
      local list = complete(...)
      return list and table.concat(list, '|')
    end
    """,
)


def complete(*arguments: Any) -> list[str] | None:
    """The prefix and all completions, None for none."""
    found = COMPLETE(*(a.encode() if isinstance(a, str) else a for a in arguments))
    return None if found is None else found.decode().split("|")


@pytest.mark.parametrize(
    ("word", "prefix", "found"),
    [
        ("whi", "while ", "while "),
        ("f", "f", "false |for |function "),
        ("e", "e", "else |elseif |end |error("),
        ("nil", "nil ", "nil "),
        ("require", "require(", "require("),
        ("zz", "zz", "zz"),
        ("zz.", "zz.", "zz.alpha|zz.alps(|zz.end|zz.str|zz.sub"),
        ("zz.al", "zz.alp", "zz.alpha|zz.alps("),
        ("zz._", "zz._hid", "zz._hid"),
        ("zz:", "zz:alps(", "zz:alps("),
        ("zz.sub.", "zz.sub.", "zz.sub.x|zz.sub.y("),
        ("zz:sub.", "zz:sub.", "zz:sub.x|zz:sub.y("),
        ("zz.sub:", "zz.sub:y(", "zz.sub:y("),
        ("zz.en", "zz.end", "zz.end"),
        ("_G.zz.al", "_G.zz.alp", "_G.zz.alpha|_G.zz.alps("),
        ("zown.", "zown.own", "zown.own|zown.own3(|zown.own4"),
        ("zown:o", "zown:own3(", "zown:own3("),
        ("zboom.", "zboom.q", "zboom.q"),
        ("zknown.", "zknown.k1", "zknown.k1"),
        ("zknown.k1.", "zknown.k1.k2(", "zknown.k1.k2("),
        ("zloop.", "zloop.a", "zloop.a"),
        ("zcalled.", "zcalled.c", "zcalled.c1|zcalled.c2("),
        ("zlocked.", "zlocked.p", "zlocked.p1|zlocked.p2"),
        ("zuser.", "zuser.u", "zuser.uf|zuser.um("),
        ("zuser:", "zuser:um(", "zuser:um("),
        ("zboth.", "zboth.a", "zboth.a1|zboth.a1(|zboth.a2|zboth.a3"),
        ("ztext:upp", "ztext:upper(", "ztext:upper("),
        ("zz.str.rep", "zz.str.rep(", "zz.str.rep("),
    ],
)
def test_completions(word: str, prefix: str, found: str) -> None:
    assert complete(word, 0, len(word)) == [prefix, *found.split("|")]


@pytest.mark.parametrize(
    "word",
    (
        "goto|znosuch|zz.nosuch.|zz:sub|zz..a|zz.:a|zz.1|zz.\u043f|1x|.zz|:zz|(zz|"
        "'zz|func(|zz[1].|zz.alps.|znull.|zz.alpha.|"
        "zasked.|zasked.q|zasked.x.q|zboom.x.|\u043f| zz|zz.a b"
    ).split("|"),
)
def test_nothing_to_complete(word: str) -> None:
    assert complete(word, 0, len(word.encode())) is None
    assert RUNTIME.execute("return asked") is None


def test_the_places_in_the_line_give_the_length_of_the_word() -> None:
    whole = complete("zz.alp", 0, 6)
    assert whole == complete("zz.alp", 40, 46) == complete("zz.alp", b"1", 7.9)
    assert complete("zz.alps", 0, 6) == whole
    assert complete("zz.alp", 3, 5) == ["zz", "zz"]
    assert complete("zz.alp", 0, 7) is complete("zz.alp", 1, 0) is None


def test_no_word_lists_the_globals_without_the_hidden_ones() -> None:
    found = complete("")
    assert found is not None
    assert found[0] == ""
    assert {"zz", "print(", "require("} < set(found)
    assert not [each for each in found if each.startswith("_") or each.endswith(" ")]


@pytest.mark.parametrize("arguments", [(), (5, 0, 1), (None, None, None), ("zz", None, "x" * 9)])
def test_wrong_arguments_complete_nothing(arguments: tuple[Any, ...]) -> None:
    found = complete(*arguments)
    assert found is None or found[0] == ""


def test_not_a_number_completes_nothing() -> None:
    assert complete("zz", float("nan"), 2) is complete("zz", 0, float("inf")) is None


def test_big_tables_and_long_chains_are_bounded() -> None:
    assert len(complete("zbig.", 0, 5) or []) == 501
    assert len(complete("zbig.k1", 0, 7) or []) == 501
    assert len(complete("zchain.", 0, 7) or []) == 21
