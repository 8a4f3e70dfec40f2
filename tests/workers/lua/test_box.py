"""What applications see: the names, box.info, print, and where modules come from (boot.lua)."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.lua import make_runtime
from workers.runtime import LuaFailureError


def test_the_names(client: Client) -> None:
    source = """
        return type(box.session), type(box.error), type(box.info), box.NULL == nil,
          db.session == box.session, session == box.session, type(print)"""
    assert client.eval(source).data == ["table", "table", "table", True, True, True, "function"]


def test_info(client: Client) -> None:
    engine = client.engine
    source = "local i = box.info return i.pid, i.uuid, i.version, i.package, i.status, i.worker"
    assert client.eval(source).data == [
        os.getpid(),
        str(uuid.UUID(bytes=bytes(engine.segment.header.instance))),
        "2.11.0",
        "beespace",
        "running",
        {"id": 0, "count": 1},
    ]
    (uptime,) = client.eval("return box.info.uptime").data
    assert 0 <= uptime <= time.time() - engine.segment.header.started
    assert client.eval("return box.info.nosuch, box.info.package_version").data == [None, "1.2.3"]


def test_info_as_a_value_is_a_plain_map(client: Client) -> None:
    for source in ("return box.info", "return box.info()"):
        (found,) = client.eval(source).data
        assert set(found) == {
            "version", "package", "package_version", "pid", "uuid", "status", "worker", "uptime",
            "id", "ro", "lsn", "signature", "vclock", "cluster", "replication", "replication_anon",
            "gc", "memory", "sql", "vinyl",
        }  # fmt: skip


def test_print_is_a_line_of_the_log(engine: Engine) -> None:
    line = engine.execute(
        """
        local log, lines = require('log'), {}
        local info = log.info
        log.info = function(text) lines[#lines + 1] = text end
        print('a', nil, 5, true, setmetatable({}, {__tostring = function() return 'own' end}))
        print()
        log.info = info
        return table.concat(lines, '|')
        """
    )
    assert line == b"a\tnil\t5\ttrue\town|"


# boot.lua ----------------------------------------------------------------------------------------


def test_nothing_is_found_through_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stray.lua").write_text("return 'found'")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LuaFailureError, match="module 'stray' not found"):
        make_runtime().require("stray")


def test_modules_of_the_application(tmp_path: Path) -> None:
    (tmp_path / "plain.lua").write_text("return {name = 'plain'}")
    (tmp_path / "sub" / "inner").mkdir(parents=True)
    (tmp_path / "sub" / "inner" / "init.lua").write_text("return {name = ...}")
    (tmp_path / "json.lua").write_text("return 'not ours'")
    (tmp_path / "broken.lua").write_text("\nx =")
    runtime = make_runtime({"json_encode": lambda *_: b"{}", "json_decode": lambda *_: b"\xc0"})
    runtime.set_application(tmp_path)

    assert runtime.require("plain")[b"name"] == b"plain"
    assert runtime.require("sub.inner")[b"name"] == b"sub.inner"
    ours = "return type(require('json')), require('plain') == require('plain')"
    assert runtime.execute(ours) == (b"table", True)
    with pytest.raises(LuaFailureError, match=r"broken\.lua:2"):
        runtime.require("broken")
    with pytest.raises(LuaFailureError, match=r"no file '.*/nosuch/thing/init\.lua'"):
        runtime.require("nosuch.thing")


@pytest.mark.parametrize("name", ["beespace.nosuch", "beespace.", "beespace...etc", "../json"])
def test_names_that_are_not_ours(name: str) -> None:
    with pytest.raises(LuaFailureError, match="not found"):
        make_runtime().require(name)


def test_python_is_not_in_reach(client: Client) -> None:
    assert client.eval("return python, package.path, package.cpath").data == [None, "", ""]
    assert client.eval("return pcall(require, 'python')").data[0] is False
    assert error_of(client.eval("require('lupa')"))[0] == 32
