"""box.stat, box.info and their kin have the shapes of Tarantool 2.6.

``data/tarantool_stat.json`` is written by the script of the same name; its head says what is in it.
What is more here is no difference: newer Tarantools have more, too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from shm import layout
from tests.helpers.engine import Client, Engine, error_of

DATA: Final = Path(__file__).resolve().parents[2] / "data"
SHAPES: Final[dict[str, list[Any]]] = json.loads((DATA / "tarantool_stat.json").read_text())

_SHAPE: Final = """
local function shape(value)
  if type(value) ~= 'table' then return type(value) end
  local found = setmetatable({}, {__serialize = 'map'})
  for key, each in pairs(value) do found[tostring(key)] = shape(each) end
  return found
end
local value = %s
"""
_LISTENS: Final = """
local facts = {version = '1.2.3', uuid = box.info.uuid, listen = '127.0.0.1:3301'}
box.info = require('beespace.box.info').make(facts)
"""


@pytest.fixture(scope="module", autouse=True)
def listener(engine: Engine) -> None:
    engine.execute(_LISTENS)


def missing(wanted: Any, found: Any, at: str = "") -> list[str]:
    """What ``found`` lacks of the shape that is wanted."""
    if not (isinstance(wanted, dict) and isinstance(found, dict)):
        return [] if wanted == found else [f"{at}: {found}, not {wanted}"]
    lacks = [f"{at}.{key}" for key in wanted if key not in found]
    common = [key for key in wanted if key in found]
    return sum((missing(wanted[key], found[key], f"{at}.{key}") for key in common), lacks)


@pytest.mark.parametrize("source", sorted(SHAPES))
def test_the_shape_is_tarantools(client: Client, source: str) -> None:
    wanted, *text = SHAPES[source]
    asked = _SHAPE % source
    if source == "box.info":
        asked += "value = require('json').decode(require('json').encode(value))\n"
    answer = client.eval(asked + "return shape(value)")
    if text:
        assert error_of(answer)[1].endswith(text[0])
    else:
        (found,) = answer.data
        assert missing(wanted, found) == []


def test_the_script_has_asked_for_what_a_client_sees(client: Client) -> None:
    """The values themselves, as MessagePack: arrays and maps are what Tarantool writes."""
    info = client.eval("return box.info").data[0]

    assert info["gc"] == info["memory"] == info["sql"] == info["vinyl"] == []
    assert (info["vclock"], info["replication_anon"]) == ({}, {"count": 0})
    assert info["replication"] == {1: {"id": 1, "uuid": info["uuid"], "lsn": 0}}
    assert info["cluster"] == {"uuid": info["uuid"]}
    assert (info["status"], info["ro"], info["listen"]) == ("running", False, "127.0.0.1:3301")
    first = {"signature": 0, "vclock": {}, "references": []}
    assert client.eval("return box.info.gc()").data == [
        {
            "signature": 0,
            "vclock": {},
            "checkpoint_is_in_progress": False,
            "checkpoints": [first],
            "consumers": [],
        }
    ]


def test_the_layout_has_room_for_every_counter(engine: Engine) -> None:
    rates = engine.execute(
        "local most = 0 for name, number in pairs(require('beespace.engine.rates')) do"
        " if name:upper() == name and name ~= 'SECONDS' then most = math.max(most, number) end end"
        " return most"
    )
    assert rates < layout.BASES
