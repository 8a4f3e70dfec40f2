"""Requests on the system spaces: iterators, changes, and the order of the checks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import SELECT, Packet

UPDATE = 4
NO_SUPPORT = "does not support requested iterator type"
MISMATCH = "does not match index part type: expected"
FULL = {0x10: 281, 0x12: 100, 0x20: []}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(open_to_guests=False) as made:
        yield made


VISIBLE = [276, 277, 281, 286, 289, 297, 305, 313, 330, 341, 380]
"""Ids of the spaces that a user without rights sees."""


@pytest.mark.parametrize(
    ("iterator", "expected"),
    [
        *((None, [289]), (0, [289]), (1, [289]), (2, VISIBLE[4:]), (3, VISIBLE[3::-1])),
        *((4, VISIBLE[4::-1]), (5, VISIBLE[4:]), (6, VISIBLE[5:])),
    ],
)
def test_iterators(client: Client, iterator: int | None, expected: list[int]) -> None:
    body = {**FULL, 0x20: [289], **({} if iterator is None else {0x14: iterator})}
    assert [row[0] for row in client.request(SELECT, body).data] == expected


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [
        *((0, 0, []), (0, 2, VISIBLE[:2]), (2, 2, VISIBLE[2:4]), (9, 9, VISIBLE[9:])),
        *((99, 9, []), (0, 2**64 - 1, VISIBLE), (2**64 - 1, 2**64 - 1, [])),
    ],
)
def test_offset_and_limit(client: Client, offset: int, limit: int, expected: list[int]) -> None:
    answer = client.request(SELECT, {**FULL, 0x13: offset, 0x12: limit})
    assert [row[0] for row in answer.data] == expected


@pytest.mark.parametrize(("missing", "name"), [(0x10, "SPACE_ID"), (0x12, "LIMIT"), (0x20, "KEY")])
def test_missing_fields(client: Client, missing: int, name: str) -> None:
    body = {key: value for key, value in FULL.items() if key != missing}
    text = f"Missing mandatory field '{name}' in request"
    assert error_of(client.request(SELECT, body)) == (69, text)


@pytest.mark.parametrize("space", [0, 1, 282, 512, 2**31, 2**32])
def test_other_spaces(client: Client, space: int) -> None:
    body = {**FULL, 0x10: space}
    assert error_of(client.request(SELECT, body)) == (36, f"Space '{space}' does not exist")


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({0x14: 7}, 112, f"of space '_space' (memtx) {NO_SUPPORT}"),
        ({0x14: 12}, 1, "Invalid iterator type"),
        ({0x14: 2**63}, 1, "Invalid iterator type"),
        ({0x11: 3}, 35, "No index #3 is defined in space '_vspace'"),
        ({0x20: [1, 2]}, 31, "Invalid key part count (expected [0..1], got 2)"),
        ({0x20: ["x"]}, 18, f"of part 0 {MISMATCH} unsigned"),
        ({0x20: [-1]}, 18, f"of part 0 {MISMATCH} unsigned"),
        ({0x11: 2, 0x20: [5]}, 18, f"of part 0 {MISMATCH} string"),
        ({0x10: 289, 0x11: 2, 0x20: [5, 6]}, 18, f"of part 1 {MISMATCH} string"),
    ],
)
def test_checks(client: Client, change: dict[int, object], code: int, text: str) -> None:
    answer = client.request(SELECT, {**FULL, **change})

    assert answer.code == code
    assert answer.text.endswith(text)


@pytest.mark.parametrize(
    "change",
    [{0x11: 2, 0x20: ["name"]}, {0x20: [2**63]}, {0x10: 289, 0x20: [1, 2]}, {0x10: 286}],
)
def test_what_is_accepted(client: Client, change: dict[int, object]) -> None:
    assert client.request(SELECT, {**FULL, **change}).data == []


def test_a_field_that_nobody_knows(client: Client) -> None:
    assert client.request(SELECT, {**FULL, 0x77: 1}).data != []


def test_the_order_of_the_checks(client: Client) -> None:
    wrong = {0x10: 5, 0x12: 1, 0x20: [1, 2, 3], 0x14: 99, 0x11: 99}
    codes = [client.request(SELECT, wrong).code]
    changes = [(0x14, 7), (0x10, 280), (0x10, 281), (0x11, 0), (0x20, ["x"]), (0x20, []), (0x14, 0)]
    for key, value in changes:
        wrong[key] = value
        codes.append(client.request(SELECT, wrong).code)

    assert codes == [1, 36, 42, 35, 31, 18, 112, 0]


BODY = {0x10: 281, 0x20: ["x"], 0x21: [["=", 1, True]], 0x28: []}


@pytest.mark.parametrize(
    ("kind", "missing", "name"),
    [
        *((2, 0x21, "TUPLE"), (3, 0x21, "TUPLE"), (4, 0x20, "KEY"), (4, 0x21, "TUPLE")),
        *((5, 0x20, "KEY"), (9, 0x21, "TUPLE"), (9, 0x28, "OPS")),
    ],
)
def test_missing_fields_of_changes(client: Client, kind: int, missing: int, name: str) -> None:
    body = {key: value for key, value in BODY.items() if key != missing}
    text = f"Missing mandatory field '{name}' in request"
    assert error_of(client.request(kind, body)) == (69, text)


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 9])
@pytest.mark.parametrize(
    ("space", "code", "text"),
    [
        (305, 113, "View '_vuser' is read-only"),
        (304, 42, "Write access to space '_user' is denied for user 'guest'"),
        (512, 36, "Space '512' does not exist"),
    ],
)
def test_changes(client: Client, kind: int, space: int, code: int, text: str) -> None:
    assert error_of(client.request(kind, {**BODY, 0x10: space})) == (code, text)


@pytest.mark.parametrize(
    ("kind", "name"), [(2, "replace"), (3, "replace"), (5, "delete"), (9, "upsert")]
)
def test_settings_are_only_updated(client: Client, kind: int, name: str) -> None:
    text = f"Session_settings space does not support {name}()"
    assert error_of(client.request(kind, {**BODY, 0x10: 380})) == (5, text)


def update(client: Client, name: object, *operations: object, base: int = 0) -> Packet:
    body = {0x10: 380, 0x20: [name], 0x21: list(operations), 0x15: base}
    return client.request(UPDATE, body)


def test_update_of_a_setting(client: Client) -> None:
    name = "sql_parser_debug"
    assert update(client, name, ["=", 1, True]).data == [[name, True]]
    assert update(client, name, ["=", "value", False]).data == [[name, False]]
    assert update(client, name, ["=", -1, True]).data == [[name, True]]
    assert update(client, name, ["=", 2, False], base=1).data == [[name, False]]
    assert update(client, name).data == [[name, False]]
    assert update(client, "nosuch", ["=", 1, True]).data == []
    answer = client.request(SELECT, {**FULL, 0x10: 380, 0x20: [name]})
    assert answer.data == [[name, False]]


@pytest.mark.parametrize(
    ("name", "operation", "code"),
    [
        *(("sql_parser_debug", ["=", 1, 5], 209), ("sql_parser_debug", ["=", 0, True], 94)),
        *(("sql_parser_debug", ["=", 2, 5], 38), ("sql_parser_debug", ["=", 5, 5], 37)),
        *(("sql_parser_debug", ["=", "nosuch", 5], 201), ("sql_parser_debug", 5, 1)),
        *(("sql_parser_debug", ["=", [], 5], 1), ("sql_parser_debug", ["+", 1, 5], 5)),
        *(("sql_parser_debug", ["="], 1), ("sql_parser_debug", ["=", 1], 209)),
        *(("sql_default_engine", ["=", 1, "foo"], 57), (5, ["=", 1, True], 18)),
    ],
)
def test_bad_updates(client: Client, name: object, operation: object, code: int) -> None:
    assert update(client, name, operation).code == code
    assert client.request(SELECT, {**FULL, 0x10: 380, 0x20: ["sql_parser_debug"]}).data == [
        ["sql_parser_debug", False]
    ]


@pytest.mark.parametrize("key", [[], ["a", "b"]])
def test_update_needs_a_whole_key(client: Client, key: list[str]) -> None:
    answer = client.request(UPDATE, {0x10: 380, 0x20: key, 0x21: []})
    text = f"Invalid key part count in an exact match (expected 1, got {len(key)})"
    assert error_of(answer) == (19, text)


def test_settings_are_the_session_s_own(client: Client, engine: Engine) -> None:
    update(client, "sql_default_engine", ["=", 1, "vinyl"])
    with engine.connect() as other:
        body = {**FULL, 0x10: 380, 0x20: ["sql_default_engine"]}
        assert other.request(SELECT, body).data == [["sql_default_engine", "memtx"]]
        assert client.request(SELECT, body).data == [["sql_default_engine", "vinyl"]]


def test_fields_of_formats_come_name_first(client: Client) -> None:
    (row,) = client.request(SELECT, {**FULL, 0x20: [305], 0x14: 0}).data
    assert [list(field) for field in row[6]] == [["name", "type"]] * len(row[6])
