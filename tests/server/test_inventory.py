"""Settings as plain values, and the JSON Schema of their file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server import inventory
from server.settings import keys, load, origins

FILE = """
iproto:
  listen: [{uri: '127.0.0.1:3301'}]
credentials:
  roles: {caller: {}}
  users: {bob: {password: a secret, roles: [caller]}, eve: {}}
config: {context: {unused: {from: env, env: SECRET}}}
session: {users: {bob: {idle_timeout: 5}}}
"""


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "bee.yaml").write_text(FILE)
    return {"config": str(tmp_path / "bee.yaml"), "workers": "3"}


ENVIRONMENT = {"BEESPACE_LOG_LEVEL": "debug", "SECRET": "another secret"}


def test_values_and_where_they_come_from(flags: dict[str, Any]) -> None:
    shown = inventory.shown(load(flags, ENVIRONMENT))
    whence = origins(flags, ENVIRONMENT)
    file = flags["config"]
    table = {key: (shown[key], whence[key]) for key in shown}
    for key, pair in {
        "name": ("default", "defaults"),
        "iproto.listen": (["127.0.0.1:3301"], file),
        "iproto.threads": (3, "--workers"),
        "log.level": ("debug", "environment BEESPACE_LOG_LEVEL"),
        "app.file": (None, "defaults"),
        "session.users": ({"bob": {"idle_timeout": 5.0}}, file),
        "credentials.roles": ({"caller": {"roles": []}}, file),
        "credentials.users": (
            {"bob": {"password": "***", "roles": ["caller"]}, "eve": {"roles": []}},
            file,
        ),
    }.items():
        assert table[key] == pair, key
    assert "secret" not in json.dumps(shown)
    assert set(shown) == set(keys()) - {"config.context"}


def leaf(key: str) -> dict[str, Any]:
    found = inventory.schema()
    for step in key.split("."):
        found = found["properties"][step]
    return found


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("console.enabled", {"type": "boolean", "default": True}),
        ("iproto.net_msg_max", {"type": "integer", "minimum": 1, "default": 768}),
        ("process.stop_timeout", {"type": "number", "minimum": 0, "maximum": 3600, "default": 3.0}),
        ("log.format", {"enum": ["plain", "json"], "description": "plain or json"}),
        ("log.file", {"type": "string", "description": "the path of a file"}),
        ("iproto.proxy_trusted", {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}),
        ("iproto.threads", {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": "auto"}),
    ],
)
def test_what_a_key_may_be(key: str, wanted: dict[str, Any]) -> None:
    assert wanted.items() <= leaf(key).items()


def test_every_key_is_in_the_schema_and_no_other_is_allowed() -> None:
    json.dumps(inventory.schema())
    for key in keys():
        assert leaf(key), key
    for section in ("iproto", "session.limits", "credentials", "config"):
        assert leaf(section)["additionalProperties"] is False


def test_a_share_of_the_schema_may_be_off() -> None:
    number, none = leaf("log.access")["anyOf"]
    assert number == {"type": "number", "minimum": 0, "maximum": 1}
    assert none == {"enum": ["off", False]}
    assert leaf("log.access")["default"] == 0.0


def test_addresses_of_the_schema_may_be_ports() -> None:
    one, several = leaf("iproto.listen")["anyOf"]
    assert several["items"] == one
    port = {"type": "integer", "minimum": 0, "maximum": 65535}
    assert one["anyOf"][:2] == one["anyOf"][2]["properties"]["uri"]["anyOf"] == [TEXT, port]


def test_users_of_the_schema() -> None:
    member = leaf("credentials.users")["additionalProperties"]["anyOf"][0]
    assert list(member["properties"]) == ["password", "roles", "privileges"]
    limits = leaf("session.users")["additionalProperties"]["anyOf"][0]["properties"]
    assert limits["idle_timeout"]["type"] == "number"
