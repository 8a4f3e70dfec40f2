"""A password in the wrong place of the settings is never a part of the lines that refuse it."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from server import credentials, settings
from server.errors import SettingsError
from server.settings import load
from tests.server.test_settings import refused, written
from tests.shm.catalog.conftest import Catalog

SECRET = "hunter2pw"
MISPLACED = [
    "users: {bob: {password: SECRET}}",
    "password: SECRET",
    "x: &x SECRET",
    "1: SECRET",
    "security: {password: SECRET}",
    "security: SECRET",
    "security: [SECRET]",
    "session: {limits: SECRET}",
    "iproto: {password: SECRET}",
    "iproto: {listen: [{uri: '127.0.0.1:0', params: {password: SECRET}}]}",
    "iproto: {listen: {uri: '127.0.0.1:0', password: SECRET}}",
    "iproto: {listen: [{uri: 'bob:SECRET@127.0.0.1:4108'}]}",
    "iproto: {listen: ['0', 'bob:SECRET@127.0.0.1:4108']}",
    "iproto: {listen: 'bob:SECRET@127.0.0.1:4108'}",
    "iproto: {listen: 'bob:SECRET,more@127.0.0.1:4108,3301'}",
    "iproto: {listen: 'bob:x@SECRET@127.0.0.1:4108'}",
    "iproto: {listen: '127.0.0.1:4108?password=SECRET'}",
    'iproto: {listen: \'[{"uri": "127.0.0.1:0", "password": "SECRET"}]\'}',
    "config: {context: {a: {from: SECRET}}}",
    "config: {context: {a: {from: env, env: SECRET}}}",
    "config: {context: {a: {from: file, file: SECRET}}}",
    "config: {context: {a: SECRET}}",
    "config: SECRET",
    "name: {bob: SECRET}",
    "app: {file: [SECRET]}",
    "log: {level: {password: SECRET}}",
    "credentials: {users: {bob: SECRET}}",
    "credentials: {users: {guest: {password: SECRET}}}",
    "credentials: {users: {bob: {password: '{{ context.SECRET }}'}}}",
    "credentials: {users: {bob: {password: '{{ SECRET }}'}}}",
    "credentials: {users: {bob: {privileges: [{permissions: [SECRET], universe: true}]}}}",
    "credentials: {users: {bob: {privileges: [{permissions: [read], spaces: [SECRET]}]}}}",
    "credentials: {users: {bob: {privileges: [{permissions: [execute], sql: [SECRET]}]}}}",
    "- SECRET",
    "SECRET",
]


@pytest.mark.parametrize("text", MISPLACED)
def test_misplaced(tmp_path: Path, text: str) -> None:
    lines = refused(written(tmp_path, text.replace("SECRET", SECRET)), {})
    assert SECRET not in "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("password: SECRET", "password: got a value, expected one of the keys app, "),
        ("security: SECRET", "security: got a text, expected a map with the keys auth_delay, "),
        ("name: {bob: SECRET}", "name: got a map, expected 1 to 64 letters, "),
        ("app: {file: [SECRET]}", "app.file: got a list, expected the path of an existing "),
        (
            "iproto: {listen: ['0', 'bob:SECRET@127.0.0.1:4108']}",
            "iproto.listen: got a list, expected host:port, [ipv6]:port, port, *:port or ",
        ),
        ("iproto: {listen: 'bob:SECRET@[::1'}", "iproto.listen: got '***@[::1', expected "),
    ],
)
def test_lines_say_what_is_wrong_all_the_same(tmp_path: Path, text: str, line: str) -> None:
    (found,) = refused(written(tmp_path, text.replace("SECRET", SECRET)), {})
    assert found.startswith(line)


def test_a_role_that_the_catalog_does_not_have(tmp_path: Path) -> None:
    text = f"credentials: {{users: {{bob: {{roles: [public, {SECRET}]}}}}}}"
    made = load(written(tmp_path, text), {})
    catalog = Catalog(tmp_path / "catalog")
    with pytest.raises(SettingsError) as caught:
        credentials.apply(catalog.store, made.credentials)
    catalog.store.close()
    (line,) = caught.value.lines
    assert line.startswith("credentials.users.bob.roles[2]: got a text, ")


SAMPLE: dict[str, Any] = {
    "name": "bee",
    "iproto": {"listen": [{"uri": "127.0.0.1:0"}, "0"], "threads": 1},
    "session": {"limits": {"total": 100}},
    "security": {"auth_delay": 1},
    "log": {"level": "info"},
    "config": {"context": {"one": {"from": "env", "env": "ONE", "rstrip": True}}},
    "credentials": {
        "roles": {"r": {"privileges": [{"permissions": ["read"], "spaces": ["all"]}]}},
        "users": {"bob": {"password": "{{ context.one }}", "roles": ["r"], "privileges": []}},
    },
    "app": {"file": None},
    "unknown": {"deep": {"deeper": [1, {"x": None}]}},
}
SHOWN = {tuple(key.split(".")) for key in set(settings.keys()) - set(settings.FILE_ONLY)}
"""Keys of which a single value is shown, since no secret can be meant by it."""


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything in a tree."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in members:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


WRAPPED = st.recursive(
    st.sampled_from(
        ["SECRET", "bob:SECRET@127.0.0.1:0", "bob:x,SECRET@h:1,h:2", "h:1?password=SECRET"]
    ),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.sampled_from(["password", "uri", "users", "x"]), inner, min_size=1)
    ),
    max_leaves=4,
)
KEYS = st.sampled_from(["", "password", "users", "listen", "params", "limits", "file", "x", "env"])


@given(
    path=st.sampled_from(list(places(SAMPLE))),
    key=KEYS,
    value=WRAPPED,
    secret=st.text("abcdefghijkmnpqrstuvwxyz23456789#$%!", min_size=10, max_size=20),
)
def test_a_secret_anywhere(path: tuple[Any, ...], key: str, value: Any, secret: str) -> None:
    tree = copy.deepcopy(SAMPLE)
    branch: Any = tree
    for step in path[:-1]:
        branch = branch[step]
    if key and isinstance(branch[path[-1]], dict):
        branch, path = branch[path[-1]], (*path, key)
    if value == "SECRET" and path in SHOWN:
        value = {"password": value}
    branch[path[-1]] = filled(value, secret)
    assert shown_of(tree, secret) == []


def filled(value: Any, secret: str) -> Any:
    """The value with the secret in all of its texts."""
    if isinstance(value, list):
        return [filled(each, secret) for each in value]
    if isinstance(value, dict):
        return {name: filled(each, secret) for name, each in value.items()}
    return value.replace("SECRET", secret)


def shown_of(tree: Any, secret: str) -> list[str]:
    """The error lines that have the secret in them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bee.yaml"
        file.write_text(yaml.safe_dump(tree))
        try:
            load({"config": str(file)}, {"ONE": "x"})
        except SettingsError as error:
            return [line for line in error.lines if secret in line]
    return []
