"""The wire corpus: reading the cases, comparing answers with what a case expects.

``corpus/*.jsonl`` holds one case a line:

* ``name``, and ``origin``: where in Tarantool's protocol it comes from, ``[26]`` observed on
  version 2.6, ``[new]`` the rule of the newest version where the two differ;
* ``send``: packets as hex, in order; ``earliest``: the byte from which on an answer may come
  (default: the end of the first packet);
* ``answers``: what has to come back; ``then``: whether the connection is ``open`` or ``closed``.

An expected EVENT packet has ``event``, its key, ``sync``, and ``value`` unless the key has none.
An expected answer has ``code`` (0 for success) and ``sync`` (or ``"any"``), and any of

* success: ``body`` the exact bytes, ``data`` the returned values, ``firsts`` the first field of
  each of them, ``map_data`` the pairs of one returned map, ``map`` the whole body (keys as decimal
  text), ``match`` a pattern for the values as JSON, ``error`` / ``inner_error`` an error object as
  only value / inside the only value;
* error: ``type``, ``text`` or ``match`` (a pattern), ``fields``, ``stack`` (texts, outermost
  first), ``file``, ``line``, ``errcode`` where the object's code differs from the answer's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack

from tests.helpers.feeds import Message
from tests.helpers.raw import Packet

CORPUS: Final = Path(__file__).parent / "corpus"
SCHEMA_VERSION: Final = 1
ERROR_EXT: Final = 3
EVENT: Final = 76
EVENT_KEY: Final = 0x57
EVENT_DATA: Final = 0x58

Expected = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One line of the corpus."""

    name: str
    origin: str
    send: tuple[bytes, ...]
    answers: tuple[Expected, ...]
    closes: bool
    earliest: int

    @property
    def message(self) -> Message:
        """The case as the feeds take it."""
        data = b"".join(self.send)
        return Message(data, len(self.answers), self.closes, self.earliest)


def load(folder: Path = CORPUS) -> list[Case]:
    """All cases of all files, in order of file names and lines."""
    return [case for path in sorted(folder.glob("*.jsonl")) for case in _read(path)]


def _read(path: Path) -> Iterator[Case]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        send = tuple(bytes.fromhex(packet) for packet in row["send"])
        assert row["then"] in ("open", "closed"), row["name"]
        yield Case(
            name=row["name"],
            origin=row["origin"],
            send=send,
            answers=tuple(row["answers"]),
            closes=row["then"] == "closed",
            earliest=row.get("earliest", len(send[0])),
        )


def check(answer: Packet, expected: Expected, schema_version: int = SCHEMA_VERSION) -> None:
    """Compare one answer with what is expected; raises AssertionError with the difference."""
    _equal("form of the length", answer.length_bytes[:1], b"\xce")
    if "event" in expected:
        _check_event(answer, expected)
        return
    _equal("keys of the header", set(answer.header), {0, 1, 5})
    _equal("schema version", answer.schema_version, schema_version)
    if expected["sync"] != "any":
        _equal("sync", answer.sync, expected["sync"])
    wanted = expected.get("text", answer.text) if expected["code"] else ""
    _equal("code and text", (answer.code, answer.text), (expected["code"], wanted))
    if expected["code"]:
        _check_error(answer, expected)
    else:
        _check_success(answer, expected)


def _check_event(packet: Packet, expected: Expected) -> None:
    _equal("header", packet.header, {0: EVENT, 1: expected["sync"]})
    value = {EVENT_DATA: expected["value"]} if "value" in expected else {}
    _equal("body", packet.body, {EVENT_KEY: expected["event"], **value})


def _check_error(answer: Packet, expected: Expected) -> None:
    _equal("keys of the body", set(answer.body), {0x31, 0x52})
    outermost = answer.stack[0]
    _check_object(outermost, {"text": answer.text, **expected})
    if "match" in expected:
        _matches("text", answer.text, expected["match"])
    if "stack" in expected:
        _equal("stack", [entry[3] for entry in answer.stack], expected["stack"])


def _check_object(error: Mapping[int, Any], expected: Expected) -> None:
    _equal("keys of the error", set(error) - {6}, {0, 1, 2, 3, 4, 5})
    _equal("message of the error", error[3], expected["text"])
    _equal("code of the error", error[5], expected.get("errcode", expected["code"]))
    for key, name in ((0, "type"), (1, "file"), (2, "line")):
        if name in expected:
            _equal(f"{name} of the error", error[key], expected[name])
    if "fields" in expected:
        _equal("fields of the error", error.get(6), expected["fields"])


def _check_success(answer: Packet, expected: Expected) -> None:
    if "body" in expected:
        _equal("body", answer.body_bytes.hex(" "), expected["body"])
    elif "map" in expected:
        _equal("body", answer.body, {int(key): value for key, value in expected["map"].items()})
    elif set(expected) > {"sync", "code"}:
        _equal("keys of the body", set(answer.body), {0x30})
        _check_data(answer.data, expected)


def _check_data(data: list[Any], expected: Expected) -> None:
    if "data" in expected:
        _equal("values", data, expected["data"])
        _equal("types", [type(v) for v in data], [type(v) for v in expected["data"]])
    if "firsts" in expected:
        _equal("first fields", [row[0] for row in data], expected["firsts"])
    if "map_data" in expected:
        _equal("values", data, [dict(expected["map_data"])])
    if "match" in expected:
        _matches("values", json.dumps(data), expected["match"])
    for key, value in (("error", data[:1]), ("inner_error", data[0] if data else None)):
        if key in expected:
            _check_object(_only_error(value), expected[key])


def _only_error(values: Any) -> Mapping[int, Any]:
    errors = [v for v in values if isinstance(v, msgpack.ExtType) and v.code == ERROR_EXT]
    _equal("number of error objects", len(errors), 1)
    body = msgpack.unpackb(errors[0].data, strict_map_key=False)
    _equal("errors in an error object", len(body[0]), 1)
    error: Mapping[int, Any] = body[0][0]
    return error


def _equal(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")


def _matches(what: str, got: str, pattern: str) -> None:
    if not re.search(pattern, got):
        raise AssertionError(f"{what}: got {got!r}, expected a match of {pattern!r}")
