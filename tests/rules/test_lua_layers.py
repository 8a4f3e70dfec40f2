"""The Lua modules keep the table of layers, and the checker catches each way to break one."""

from __future__ import annotations

import pytest

from tests.rules import sources
from tests.rules.lua_layers import Table, problems

SAMPLE = Table(
    layers=["engine.main", "engine.loop | box.init | modules.json", "engine.sys"],
    borrowed={"engine.sys": ["ffi"], "modules.json": ["bridge"]},
    cdef=["engine.sys"],
)
CLEAN = {
    "engine.main": "local loop = require('beespace.engine.loop')\nlocal json = require 'json'\n",
    "engine.loop": "-- require('nothing')\nlocal sys = require(\"beespace.engine.sys\")\n",
    "box.init": "local t = {require = 1}\nreturn t.require",
    "modules.json": "return require('beespace.bridge')",
    "engine.sys": "local ffi = require('ffi')\nffi.cdef [[\nint close(int fd);\n]]",
}


def test_modules_keep_the_layers() -> None:
    table = Table(**sources.project()["tool"]["lualayers"])
    assert list(problems(sources.lua_modules(), table)) == []


def test_clean_sample_has_no_problems() -> None:
    assert list(problems(CLEAN.items(), SAMPLE)) == []


@pytest.mark.parametrize(
    ("module", "text", "words"),
    [
        (
            "engine.sys",
            "require('beespace.engine.loop')",
            "requires engine.loop, which is not below",
        ),
        ("engine.loop", "require('beespace.box.init')", "requires box.init, which is not below"),
        ("engine.loop", "require 'json'", "requires modules.json, which is not below"),
        ("engine.loop", "require('ffi')", "may not require ffi"),
        ("engine.loop", "require('beespace.bridge')", "may not require bridge"),
        ("engine.loop", "require('missing')", "requires missing, which does not exist"),
        ("engine.loop", "require('beespace.' .. name)", "without naming a module"),
        ("engine.loop", "pcall(require, 'json')", "without naming a module"),
        ("engine.loop", "local load = require", "without naming a module"),
        ("engine.loop", "ffi.cdef[[ int open(const char *p, int f); ]]", "the C function open"),
        ("engine.new", "return {}", "not in the table"),
    ],
)
def test_checker_catches(module: str, text: str, words: str) -> None:
    found = list(problems({**CLEAN, module: text}.items(), SAMPLE))
    assert len(found) == 1
    assert words in found[0]
    assert found[0].startswith(module)


def test_checker_catches_an_entry_without_file() -> None:
    rest = {module: text for module, text in CLEAN.items() if module != "box.init"}
    assert list(problems(rest.items(), SAMPLE)) == [
        "box.init: in the table, but there is no such file"
    ]
