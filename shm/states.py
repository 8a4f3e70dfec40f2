"""Who may change a slot's state, and what the numbers in the segment mean.

    FREE --acceptor--> CLAIMED --worker--> LIVE --worker--> CLOSING --worker--> FREE
                          |                  |                 |
                          +--acceptor,       +-----------------+--supervisor--> FREE
                             supervisor--> FREE      (its worker is dead)

In every state exactly one process may write the slot: the acceptor in FREE and CLAIMED (until the
message with the descriptor has left), the owning worker from then on, the supervisor once the
worker is dead. A session exists from CLAIMED until FREE.

To claim: payload first, then ``state``, then ``id``. To free: ``id = 0`` first, ``state`` last, so
a reader that finds the same id before and after its copy has read one session only.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from shm.record import Writer


class SlotState(IntEnum):
    """States of a session slot; 0 is what fresh memory holds."""

    FREE = 0
    CLAIMED = 1
    LIVE = 2
    CLOSING = 3


class Phase(IntEnum):
    """What a server is doing, see server.supervisor."""

    BOOTING = 0
    FILLING = 1
    RUNNING = 2
    STOPPING = 3


class WorkerState(IntEnum):
    """States of a worker row, and of the acceptor, written by the supervisor."""

    ABSENT = 0
    STARTING = 1
    READY = 2
    STOPPING = 3
    DEAD = 4
    DRAINING = 5
    """It gets no new sessions, and ends when those it has are over."""


class SessionType(IntEnum):
    """Kinds of sessions, with the names ``box.session.type()`` gives."""

    BACKGROUND = 0
    BINARY = 1
    CONSOLE = 2


class EndReason(IntEnum):
    """Why the server ends a session."""

    NONE = 0
    CLIENT = 1
    """The client closed the connection."""
    ERROR = 2
    """The connection broke, or what came over it could not be read."""
    KILLED = 3
    """Somebody asked for its end."""
    IDLE = 4
    """Nothing came from the client for too long."""
    LIMIT = 5
    """A limit on what it may take was exceeded, such as session.output_limit."""
    SHUTDOWN = 6
    """The server stops."""
    WORKER_DIED = 7
    """The process that held it died."""
    REFUSED = 8
    """A function of on_connect failed."""
    CREDENTIALS = 9
    """Its user was dropped or disabled, or has another password."""
    LOGIN_TIMEOUT = 10
    """It sent no request for too long after it had been greeted."""
    MAX_AGE = 11
    """It lasted as long as any session may."""


TRANSITIONS: Final[frozenset[tuple[Writer, SlotState, SlotState]]] = frozenset(
    {
        (Writer.ACCEPTOR, SlotState.FREE, SlotState.CLAIMED),
        (Writer.ACCEPTOR, SlotState.CLAIMED, SlotState.FREE),
        (Writer.WORKER, SlotState.CLAIMED, SlotState.LIVE),
        (Writer.WORKER, SlotState.LIVE, SlotState.CLOSING),
        (Writer.WORKER, SlotState.CLOSING, SlotState.FREE),
        (Writer.SUPERVISOR, SlotState.CLAIMED, SlotState.FREE),
        (Writer.SUPERVISOR, SlotState.LIVE, SlotState.FREE),
        (Writer.SUPERVISOR, SlotState.CLOSING, SlotState.FREE),
    }
)


class ForbiddenTransitionError(AssertionError):
    """A process tried to change a slot it does not own: a bug, never a client's doing."""


def check(writer: Writer, old: SlotState, new: SlotState) -> None:
    """Raise :class:`ForbiddenTransitionError` unless ``writer`` may take a slot from old to new."""
    if (writer, old, new) not in TRANSITIONS:
        raise ForbiddenTransitionError(
            f"{writer} may not take a slot from {old.name} to {new.name}"
        )
