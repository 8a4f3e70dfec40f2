"""What the triggers of the soak's application noted down; pure.

    connect 17 4711 12.5 127.0.0.1:4001               session, process, monotonic seconds, peer
    disconnect 17 4711 13.5 127.0.0.1:4001 client     ... and why

Each line is one write to a file that is only appended to, so a worker that is killed takes none
with it. What a killed worker was just about to write cannot be known: a session whose on_disconnect
had begun in it (its slot was CLOSING) may have ended without a line, see :mod:`tests.soak.ledger`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Note:
    """One line."""

    session: int
    pid: int
    time: float
    peer: str
    reason: str = ""


@dataclass
class Journal:
    """All lines, in their order."""

    connects: list[Note] = field(default_factory=list)
    disconnects: list[Note] = field(default_factory=list)

    def begun(self) -> Counter[int]:
        """How often on_connect ran for each session."""
        return Counter(note.session for note in self.connects)

    def over(self) -> Counter[int]:
        """How often on_disconnect ran for each session."""
        return Counter(note.session for note in self.disconnects)

    def repeated(self) -> list[int]:
        """Sessions for which one of them ran more than once."""
        twice = {session for session, times in self.begun().items() if times > 1}
        return sorted(twice | {session for session, times in self.over().items() if times > 1})

    def not_ended(self) -> list[int]:
        """Sessions that began and did not end."""
        return sorted(self.begun().keys() - self.over().keys())

    def not_begun(self) -> list[int]:
        """Sessions that ended and had not begun."""
        return sorted(self.over().keys() - self.begun().keys())

    def reasons(self) -> Counter[str]:
        """How often each reason was given."""
        return Counter(note.reason for note in self.disconnects)

    def whereabouts(self) -> Callable[[str, float, float], Note | None]:
        """What finds on_connect of a peer's session between two times; ports are used again."""
        notes: dict[str, list[Note]] = {}
        for note in self.connects:
            notes.setdefault(note.peer, []).append(note)

        def find(peer: str, since: float, until: float) -> Note | None:
            among = notes.get(peer, [])
            return next((note for note in among if since <= note.time <= until), None)

        return find

    def since(self, before: Journal) -> Journal:
        """What is new."""
        return Journal(
            self.connects[len(before.connects) :], self.disconnects[len(before.disconnects) :]
        )


def parse(lines: Iterable[str]) -> Journal:
    """The journal of a file's lines; ValueError for a line that is none."""
    journal = Journal()
    for line in lines:
        what, session, pid, time, peer, *rest = line.split()
        note = Note(int(session), int(pid), float(time), peer, *rest)
        if what == "connect" and not rest:
            journal.connects.append(note)
        elif what == "disconnect" and len(rest) == 1:
            journal.disconnects.append(note)
        else:
            raise ValueError(f"no line of a journal: {line!r}")
    return journal
