"""The settings' users and roles: read, refused by lines without secrets, applied to a catalog."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from server import credentials
from server.errors import ExitStatus, SettingsError
from server.settings import Settings, load
from shm.catalog.declared import Declared
from shm.catalog.passwords import digest
from tests.server.test_settings import refused, written
from tests.shm.catalog.conftest import Catalog

SECRET = "S3cret-of-Bob!"
FILE = f"""
credentials:
  roles:
    reader:
      privileges:
        - {{permissions: [read], spaces: [_vuser, all]}}
        - {{permissions: [execute], functions: [all, f], lua_call: ['box.info', all]}}
    chief: {{roles: [reader]}}
    empty:
  users:
    bob:
      password: {SECRET}
      roles: [reader, chief]
      privileges:
        - {{permissions: [execute, usage], lua_eval: true, sql: [all]}}
        - {{permissions: [read, write], sessions: true}}
        - {{permissions: [create], universe: true}}
        - {{permissions: [drop], universe: true, sequences: [all]}}
    guest: {{roles: [super]}}
    '7': {{}}
"""


def test_everything_that_can_be_declared(tmp_path: Path) -> None:
    found = load(written(tmp_path, FILE), {}).credentials
    assert found.declared == (
        Declared(
            "role",
            "reader",
            (),
            (
                *((("space", 305), 1), (("space", ""), 1), (("function", ""), 4)),
                *((("function", "f"), 4), (("lua_call", "box.info"), 4), (("lua_call", ""), 4)),
            ),
        ),
        Declared("role", "chief", ("reader",)),
        Declared("role", "empty"),
        Declared(
            "user",
            "bob",
            ("reader", "chief"),
            (
                *((("lua_eval", ""), 20), (("sql", ""), 20), (("session", ""), 3)),
                *((("universe", 0), 96), (("sequence", ""), 64)),
            ),
        ),
        Declared("user", "guest", ("super",)),
        Declared("user", "7"),
    )
    assert {name: kept.get_secret_value() for name, kept in found.passwords.items()} == {
        "bob": SECRET
    }


def with_contexts(tmp_path: Path) -> str:
    (tmp_path / "secret").write_text("of a file\n")
    return f"""
config:
  context:
    one: {{from: env, env: BEESPACE_ONE, rstrip: true}}
    two: {{from: file, file: {tmp_path}/secret, rstrip: true}}
credentials:
  users:
    a: {{password: '{{{{ context.one }}}}'}}
    b: {{password: 'It is {{{{context.two}}}}!'}}
"""


def test_passwords_from_elsewhere(tmp_path: Path) -> None:
    made = load(written(tmp_path, with_contexts(tmp_path)), {"BEESPACE_ONE": f"{SECRET} \n"})
    found = {name: kept.get_secret_value() for name, kept in made.credentials.passwords.items()}
    assert found == {"a": SECRET, "b": "It is of a file!"}


def test_a_missing_variable_is_one_line(tmp_path: Path) -> None:
    flags = written(tmp_path, with_contexts(tmp_path))
    (line,) = refused(flags, {})
    text = "got a variable that is not set, expected one that is"
    assert line == f"config.context.one.env: {text} ({flags['config']})"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    made = load(written(tmp_path, FILE), {})
    for text in (repr(made), str(made), repr(made.credentials), made.model_dump_json()):
        assert SECRET not in text
    assert SECRET.encode() not in pickle.dumps(made.security)


PRIVILEGE = (
    "permissions, functions, lua_call, lua_eval, sequences, sessions, spaces, sql, universe",
    "functions, lua_call, lua_eval, sequences, sessions, spaces, sql, universe",
)
LINES = [
    ("5", ": got a number, expected a map with the keys roles, users"),
    ("{user: {bob: SECRET}}", ".user: got a value, expected one of the keys roles, users"),
    ("{users: [SECRET]}", ".users: got a list, expected a map of names"),
    (
        "{users: {bob: SECRET}}",
        ".users.bob: got a text, expected a map with the keys password, privileges, roles",
    ),
    (
        "{users: {bob: {pasword: SECRET}}}",
        ".users.bob.pasword: got a value, expected one of the keys password, privileges, roles",
    ),
    (
        "{roles: {x: {password: SECRET}}}",
        ".roles.x.password: got a value, expected one of the keys privileges, roles",
    ),
    (
        "{users: {bob: {password: 12345}}}",
        ".users.bob.password: got a number, expected a text; put it in quotes",
    ),
    (
        "{users: {bob: {password: [SECRET]}}}",
        ".users.bob.password: got a list, expected a text; put it in quotes",
    ),
    (
        "{users: {guest: {password: SECRET}}}",
        ".users.guest.password: got a password, expected none: guest has no password",
    ),
    (
        "{users: {bob: {password: '{{ context.x }}SECRET'}}}",
        (".users.bob.password: got a template, expected a name of config.context in it"),
    ),
    (
        '{users: {"a\\x01": {}}}',
        ".users: got the name 'a\\x01', expected printable characters, at most 65000 bytes",
    ),
    (
        "{users: {bob: {roles: x}}}",
        ".users.bob.roles: got a text, expected a list of names of roles",
    ),
    (
        "{users: {bob: {roles: [1]}}}",
        ".users.bob.roles: got a list of other things, expected a list of names of roles",
    ),
    (
        "{users: {bob: {privileges: {}}}}",
        ".users.bob.privileges: got a map, expected a list of maps",
    ),
    (
        "{users: {bob: {privileges: [x]}}}",
        f".users.bob.privileges[1]: got a text, expected a map with the keys {PRIVILEGE[0]}",
    ),
    (
        "{users: {bob: {privileges: [{permissions: [read], univers: 1, universe: true}]}}}",
        f".users.bob.privileges[1].univers: got a value, expected one of the keys {PRIVILEGE[0]}",
    ),
    (
        "{users: {bob: {privileges: [{permissions: [read]}]}}}",
        (
            ".users.bob.privileges[1]: got permissions for nothing, "
            f"expected some of the keys {PRIVILEGE[1]}"
        ),
    ),
    (
        "{users: {bob: {privileges: [{universe: true}]}}}",
        (
            ".users.bob.privileges[1].permissions: got none, "
            "expected some of read, write, execute, session, usage, create, drop, alter, "
            "reference, trigger, insert, update, delete, grant, metagrant"
        ),
    ),
    (
        "{users: {bob: {privileges: [{permissions: [execute, read], functions: [f]}]}}}",
        (
            ".users.bob.privileges[1].permissions[2]: got another text, "
            "expected some of execute, usage, create, drop for function"
        ),
    ),
    (
        "{users: {bob: {privileges: [{permissions: [read], universe: 1}]}}}",
        ".users.bob.privileges[1].universe: got a number, expected true or false",
    ),
    (
        "{users: {bob: {privileges: [{permissions: [execute], lua_call: f}]}}}",
        ".users.bob.privileges[1].lua_call: got a text, expected a list of names, or all",
    ),
    (
        "{users: {bob: {privileges: [{permissions: [execute], sql: [f]}]}}}",
        ".users.bob.privileges[1].sql[1]: got another text, expected all",
    ),
    (
        "{roles: {x: {privileges: [{permissions: [usage], functions: [f]}]}}}",
        (
            ".roles.x.privileges[1].permissions: got session or usage, "
            "which a role cannot give, expected other permissions"
        ),
    ),
]


@pytest.mark.parametrize("name", ["functions", "lua_call", "sequences", "spaces", "sql"])
def test_an_empty_name_is_not_everything(tmp_path: Path, name: str) -> None:
    text = f"{{users: {{x: {{privileges: [{{permissions: [usage], {name}: [all, '']}}]}}}}}}"
    flags = written(tmp_path, f"credentials: {text}")
    key = f"credentials.users.x.privileges[1].{name}[2]"
    line = f"{key}: got an empty name, expected names, or all ({flags['config']})"
    assert refused(flags, {}) == [line]


@pytest.mark.parametrize(("text", "line"), LINES)
def test_lines(tmp_path: Path, text: str, line: str) -> None:
    flags = written(tmp_path, f"credentials: {text.replace('SECRET', SECRET)}")
    assert refused(flags, {}) == [f"credentials{line} ({flags['config']})"]


def test_spaces_that_are_not_there(tmp_path: Path) -> None:
    text = "credentials: {roles: {x: {privileges: [{permissions: [read], spaces: [mine]}]}}}"
    (line,) = refused(written(tmp_path, text), {})
    key = "credentials.roles.x.privileges[1].spaces[1]"
    assert line.startswith(f"{key}: got another text, expected all or one of _schema, ")


def test_weak_passwords(tmp_path: Path) -> None:
    rules = "security: {password_min_length: 6, password_enforce_digits: true}\n"
    users = "{a: {password: shrt}, b: {password: longer}, c: {password: longer1}}"
    flags = written(tmp_path, f"{rules}credentials: {{users: {users}}}")
    short, simple = refused(flags, {})
    weak = "password: got a weak password, password should"
    assert short == f"credentials.users.a.{weak} be at least 6 characters long ({flags['config']})"
    assert simple == f"credentials.users.b.{weak} contain at least one digit ({flags['config']})"


def test_variables_that_look_like_secrets_are_not_shown() -> None:
    for name in ("BEESPACE_ADMIN_PASSWORD", "BEESPACE_DB_SECRET", "BEESPACE_CREDENTIALS_USERS"):
        assert refused({}, {name: SECRET}) == [
            f"{name}: got a value, expected no such variable (environment)"
        ]


def settings(tmp_path: Path, text: str) -> Settings:
    return load(written(tmp_path, text), {})


def test_applied_to_a_catalog(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog")
    made = settings(tmp_path, FILE).credentials
    changed = credentials.apply(catalog.store, made)
    assert changed.made == [
        *("role reader", "role chief", "role empty", "user bob", "user 7"),
    ]
    assert (changed.passwords, changed.rights) == (["bob"], ["guest", "reader", "chief", "bob"])
    assert catalog.principals()["bob"]["hash"] == digest(SECRET.encode())
    assert catalog.rights("guest")["role", 31] == 4
    assert catalog.rights("bob")["universe", 0] == 24 | 96
    assert not credentials.apply(catalog.store, made)
    catalog.store.close()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "{users: {bob: {roles: [nobody]}}}",
            "users.bob.roles[1]: got a text, expected a role that exists",
        ),
        (
            "{roles: {a: {roles: [b]}, b: {roles: [a]}}}",
            "roles.b.roles[1]: got a role, expected none that has this one",
        ),
        (
            "{users: {super: {roles: [super]}}}",
            "users.super: got a user, expected a name that no role has",
        ),
        ("{users: {super: {}}}", "users.super: got a user, expected a name that no role has"),
        ("{roles: {admin: {}}}", "roles.admin: got a role, expected a name that no user has"),
    ],
)
def test_what_the_catalog_refuses(tmp_path: Path, text: str, line: str) -> None:
    catalog = Catalog(tmp_path / "catalog")
    made = settings(tmp_path, f"credentials: {text}")
    with pytest.raises(SettingsError) as caught:
        credentials.apply(catalog.store, made.credentials)
    assert caught.value.lines == (f"credentials.{line} ({tmp_path / 'bee.yaml'})",)
    assert caught.value.exit_code is ExitStatus.SETTINGS
    catalog.store.close()


@pytest.mark.parametrize("text", ["", "credentials:", "credentials: {users: }", "config:"])
def test_nothing_declared(tmp_path: Path, text: str) -> None:
    found: Any = settings(tmp_path, text).credentials
    assert (found.declared, found.passwords) == ((), {})
