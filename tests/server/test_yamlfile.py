"""The settings file: what YAML would let pass in silence, and what it says of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.settings import load
from tests.server.test_settings import refused, written

TWICE = [
    ("name: a\nlog: {level: info}\nname: b\n", "name", "1, 3"),
    ("log:\n  level: info\n  format: json\n  level: info\n", "log.level", "2, 4"),
    ("credentials:\n users:\n  bob: {}\n  eve: {}\n  bob: {}\n", "credentials.users.bob", "3, 5"),
    ("credentials: {users: {'1': {}, '1': {}, '1': }}", "credentials.users.1", "1, 1, 1"),
    ("x: [{a: 1, a: 2}]", "x[1].a", "1, 1"),
    ("x: &x {y: {a: 1, a: 2}}\nz: *x\n", "x.y.a", "1, 1"),
]


@pytest.mark.parametrize(("text", "key", "lines"), TWICE)
def test_a_key_that_stands_twice(tmp_path: Path, text: str, key: str, lines: str) -> None:
    flags = written(tmp_path, text)
    what = f"got the key in the lines {lines}, expected it once"
    assert refused(flags, {}) == [f"{key}: {what} ({flags['config']})"]


def test_every_key_that_stands_twice(tmp_path: Path) -> None:
    lines = refused(written(tmp_path, "x: {a: 1, a: 1}\ny: {b: 1, b: 1}\nx: 2\n"), {})
    assert [line.split(":")[0] for line in lines] == ["x.a", "x", "y.b"]


def test_merged_keys_may_be_given_again(tmp_path: Path) -> None:
    text = """
log: &log {level: debug, format: json}
credentials:
  users: {bob: &bob {roles: [super]}, eve: {<<: *bob, roles: []}}
"""
    made = load(written(tmp_path, text), {})
    assert [each.roles for each in made.credentials.declared] == [("super",), ()]


@pytest.mark.parametrize("section", ["credentials.users", "credentials.roles", "config.context"])
@pytest.mark.parametrize(
    ("name", "key", "kind"),
    [
        ("null", "null", "nothing"),
        ("~", "null", "nothing"),
        ("no", "false", "true or false"),
        ("yes", "true", "true or false"),
        ("7", "7", "a number"),
        ("1.5", "1.5", "a number"),
        ("2026-01-02", "2026-01-02", "a date"),
    ],
)
def test_names_that_are_no_texts(
    tmp_path: Path, section: str, name: str, key: str, kind: str
) -> None:
    outer, inner = section.split(".")
    flags = written(tmp_path, f"{outer}: {{{inner}: {{{name}: {{}}}}}}")
    what = f"got {kind}, expected a name as text, write it in quotes"
    assert refused(flags, {}) == [f"{section}.{key}: {what} ({flags['config']})"]


def test_names_in_quotes(tmp_path: Path) -> None:
    text = "credentials: {users: {'no': {}, '1.5': {}, \"null\": {}}}"
    found = load(written(tmp_path, text), {}).credentials.declared
    assert [each.name for each in found] == ["no", "1.5", "null"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('credentials: {users: {"aX": {}}}', r"credentials.users.a\ud800"),
        ('credentials: {users: {a: {password: "aX"}}}', "credentials.users.a.password"),
        (
            'credentials: {roles: {a: {privileges: [{permissions: [execute], lua_call: ["aX"]}]}}}',
            "credentials.roles.a.privileges[1].lua_call[1]",
        ),
        ('config: {context: {a: {from: env, env: "aX"}}}', "config.context.a.env"),
        ('config: {context: {a: {from: file, file: "aX"}}}', "config.context.a.file"),
        ('app: {file: "aX"}', "app.file"),
        ('iproto: {listen: [{uri: "aX"}]}', "iproto.listen[1].uri"),
        ('"aX": 1', r"a\ud800"),
    ],
)
def test_half_characters(tmp_path: Path, text: str, key: str) -> None:
    flags = written(tmp_path, text.replace("X", "\\ud800"))
    what = "got a text with half a character (a lone surrogate), expected Unicode"
    assert refused(flags, {}) == [f"{key}: {what} ({flags['config']})"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("*hunter2pw", "found undefined alias ..."),
        ("!hunter2pw x", "could not determine a constructor for the tag ..."),
        ("!hunter2pw!x x", "found undefined tag handle ..."),
        ("!!float hunter2pw", "a value that is not what it looks like"),
        ("!!int hunter2pw", "a value that is not what it looks like"),
        ("!!bool hunter2pw", "a value that is not what it looks like"),
        ("!!timestamp hunter2pw", "a value that is not what it looks like"),
        ("2026-13-45", "a value that is not what it looks like"),
        ("@hunter2pw", "found character '@' that cannot start any token"),
        ("{{ context.hunter2pw }}", "found unhashable key"),
    ],
)
def test_what_cannot_be_read_is_not_shown(tmp_path: Path, value: str, said: str) -> None:
    flags = written(tmp_path, f"credentials:\n  users:\n    bob: {{password: {value}}}\n")
    (line,) = refused(flags, {})
    place = f"in line 3 of '{flags['config']}'"
    assert line == f"config: got {said} {place}, expected valid YAML (--config)"


@pytest.mark.parametrize("text", ["x: &x {y: *x}", "x: &x [*x]", f"x: {'[' * 3000}{']' * 3000}"])
def test_a_file_without_an_end(tmp_path: Path, text: str) -> None:
    flags = written(tmp_path, text)
    got = f"maps or lists without an end in '{flags['config']}'"
    assert refused(flags, {}) == [f"config: got {got}, expected few levels (--config)"]


def test_a_line_is_one_line(tmp_path: Path) -> None:
    (line,) = refused(written(tmp_path, '"a\\nb\\x1b": 1'), {})
    assert line.startswith(r"a\nb\x1b: got a value, ")
