"""Lua files are clean: luacheck where it is installed, and always a look at their globals."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rules import sources
from workers.runtime import Runtime

STANDARD = frozenset(
    """
    _G _VERSION assert bit collectgarbage coroutine debug error getfenv getmetatable io ipairs jit
    load loadstring math next os package pairs pcall print rawequal rawget rawset require select
    setfenv setmetatable string table tonumber tostring type unpack xpcall
    """.split()
)
APPLICATION = STANDARD | {"box", "db", "session"}
APPLICATIONS = ("examples/", "tests/data/", "bench/app.lua")
WRITES = {"workers/lua/boot.lua": {"python"}}
SCANNER = Path(__file__).with_name("lua_globals.lua")


def scan(text: str, name: str) -> list[tuple[str, str, int]]:
    """(get or set, global, line) of every access in a chunk; AssertionError when it is no Lua."""
    found = Runtime({}).execute(SCANNER.read_text(), text.encode(), b"@" + name.encode())
    assert not isinstance(found, tuple), found[1].decode()
    accesses = (line.split() for line in found.decode().splitlines())
    return [(kind, variable, int(line)) for kind, variable, line in accesses]


def undeclared(path: Path) -> list[str]:
    """Accesses to globals the file has no right to; an application may define its own."""
    accesses = scan(path.read_text(), sources.name(path))
    if sources.name(path).startswith(APPLICATIONS):
        readable = APPLICATION | {variable for kind, variable, _ in accesses if kind == "set"}
        accesses = [access for access in accesses if access[0] == "get"]
    else:
        readable = STANDARD
    allowed = {"get": readable, "set": WRITES.get(sources.name(path), set())}
    return [
        f"{sources.name(path)}:{line}: {kind} {variable}"
        for kind, variable, line in accesses
        if variable not in allowed[kind]
    ]


@pytest.mark.parametrize("path", sources.files(".lua"), ids=sources.name)
def test_only_declared_globals(path: Path) -> None:
    assert undeclared(path) == []


def test_scan_sees_globals_in_nested_functions() -> None:
    text = "local a = 1\nreturn function()\n  return function() b = c + a end\nend"
    assert scan(text, "sample") == [("get", "c", 3), ("set", "b", 3)]


def test_scan_reports_a_syntax_error() -> None:
    with pytest.raises(AssertionError, match="sample:1: '=' expected"):
        scan("x y", "sample")


def test_luacheck() -> None:
    program = shutil.which("luacheck")
    if program is None:
        pytest.skip("luacheck is not installed (Debian: lua-check): Lua style was NOT checked")
    paths = [sources.name(path) for path in sources.files(".lua")]
    done = subprocess.run(
        [program, "--quiet", "--no-color", "--codes", *paths],
        cwd=sources.ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
