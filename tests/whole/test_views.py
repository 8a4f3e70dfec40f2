"""The system views with stock connectors: by name, as they find names in the views themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asynctnt
import pytest
import tarantool
from asynctnt.exceptions import TarantoolDatabaseError

from tests.helpers.server import Server
from tests.whole.connectors import connect

SETTING = "sql_default_engine"


@pytest.fixture
def connection(shared: Server) -> Iterator[Any]:
    with contextlib.closing(connect(shared.address)) as opened:
        yield opened


def with_asynctnt(server: Server, scenario: Callable[[Any], Awaitable[None]]) -> None:
    """Run a scenario with one connection of asynctnt, which fetches the schema as it opens."""

    async def run() -> None:
        host, port = server.address
        opened = await asynctnt.connect(host=host, port=port, reconnect_timeout=0)
        try:
            await scenario(opened)
        finally:
            await opened.disconnect()

    asyncio.run(run())


def test_select_by_name(connection: Any) -> None:
    assert connection.select("_vuser", "guest", index="name").data[0][:4] == [
        *(0, 1, "guest", "user"),
    ]
    (row,) = connection.select("_vspace", "_vuser", index="name").data
    assert row[:6] == [305, 1, "_vuser", "sysview", 0, {}]
    names = [row[2] for row in connection.space("_vindex").select([305]).data]
    assert names == ["primary", "owner", "name"]
    assert connection.select("_vpriv", [0, "universe"]).data[0][:4] == [1, 0, "universe", 0]
    assert len(connection.select("_vcollation").data) == 277


def test_iterators(connection: Any) -> None:
    options = {"index": "name", "limit": 1}
    for iterator, name in ((3, "_vfunc"), (4, "_vindex"), (5, "_vindex"), (6, "_vpriv")):
        (row,) = connection.select("_vspace", "_vindex", iterator=iterator, **options).data
        assert row[2] == name


def test_settings_of_the_session(connection: Any, shared: Server) -> None:
    changed = connection.update("_session_settings", SETTING, [("=", "value", "vinyl")])
    assert changed.data == [[SETTING, "vinyl"]]
    assert connection.eval("return box.session.settings[...]", SETTING).data == ["vinyl"]
    with contextlib.closing(connect(shared.address)) as other:
        assert other.select("_session_settings", SETTING).data == [[SETTING, "memtx"]]


def test_views_are_read_only(connection: Any) -> None:
    for change in (connection.insert, connection.replace, connection.delete):
        with pytest.raises(tarantool.DatabaseError) as caught:
            change("_vuser", [1])
        assert caught.value.args[:2] == (113, "View '_vuser' is read-only")


def test_tuples_arrive_as_arrays(connection: Any) -> None:
    data = connection.eval("return box.space._vuser:get(0), box.space._vspace:select(281)").data
    assert data[0][:3] == [0, 1, "guest"]
    assert data[1][0][:3] == [281, 1, "_vspace"]


def test_schema_of_asynctnt(shared: Server) -> None:
    async def scenario(opened: Any) -> None:
        spaces = opened.schema.spaces
        assert {277, 281, 286, 289, 297, 305, 313, 341, 380, "_vuser"} <= set(spaces)
        (row,) = (await opened.select("_vuser", {"name": "guest"}, index="name")).body
        assert (row["id"], row["type"]) == (0, "user")
        rows = (await opened.select("_vspace", [300], iterator="GE", limit=2)).body
        assert rows[-1]["id"] > 300
        answer = await opened.update("_session_settings", [SETTING], [("=", "value", "vinyl")])
        assert dict(answer.body[0].items()) == {"name": SETTING, "value": "vinyl"}
        with pytest.raises(TarantoolDatabaseError, match="View '_vpriv' is read-only"):
            await opened.insert("_vpriv", [1, 2, "role", 3, 4])
        await opened.refetch_schema()
        assert set(opened.schema.spaces) == set(spaces)

    with_asynctnt(shared, scenario)
