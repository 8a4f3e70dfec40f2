"""The journal of the triggers: every session begins once and ends once, or is named."""

from __future__ import annotations

import pytest

from tests.soak import journal

LINES = [
    "connect 1 100 12.5 127.0.0.1:4001",
    "connect 2 200 12.6 unix/:(socket)",
    "disconnect 1 100 12.7 127.0.0.1:4001 client",
    "disconnect 2 100 13.5 unix/:(socket) worker_died",
]


def test_a_whole_journal() -> None:
    found = journal.parse(LINES)
    assert (found.repeated(), found.not_begun(), found.not_ended()) == ([], [], [])
    assert found.reasons() == {"client": 1, "worker_died": 1}
    assert found.connects[1] == journal.Note(2, 200, 12.6, "unix/:(socket)")


@pytest.mark.parametrize(
    ("lines", "repeated", "not_begun", "not_ended"),
    [
        (LINES[:3], [], [], [2]),
        (LINES[1:], [], [1], []),
        ([*LINES, LINES[0]], [1], [], []),
        ([*LINES, LINES[3]], [2], [], []),
        ([], [], [], []),
    ],
)
def test_what_is_missing_or_too_much(
    lines: list[str], repeated: list[int], not_begun: list[int], not_ended: list[int]
) -> None:
    found = journal.parse(lines)
    assert found.repeated() == repeated
    assert found.not_begun() == not_begun
    assert found.not_ended() == not_ended


def test_what_is_new() -> None:
    new = journal.parse(LINES).since(journal.parse(LINES[:2]))
    assert new == journal.parse(LINES[2:])


@pytest.mark.parametrize(
    "line", ["connect 1 2 3.0 p reason", "disconnect 1 2 3.0 p", "greet 1 2 3 p"]
)
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no line of a journal"):
        journal.parse([line])


def test_sessions_are_found_by_peer_and_time() -> None:
    find = journal.parse([*LINES, "connect 3 300 20.0 127.0.0.1:4001"]).whereabouts()

    def pid(peer: str, since: float, until: float) -> int:
        note = find(peer, since, until)
        return note.pid if note else 0

    assert pid("127.0.0.1:4001", 12.0, 13.0) == 100
    assert pid("127.0.0.1:4001", 19.0, 21.0) == 300
    assert pid("127.0.0.1:4001", 14.0, 19.0) == 0
    assert pid("127.0.0.1:4002", 12.0, 13.0) == 0
