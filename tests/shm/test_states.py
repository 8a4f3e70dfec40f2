"""Every writer tries every change of a slot: only those of the drawing in shm.states pass."""

from __future__ import annotations

import itertools

import pytest

from shm import states
from shm.record import Writer
from shm.states import ForbiddenTransitionError, SlotState

FREE, CLAIMED, LIVE, CLOSING = SlotState
ALLOWED = {
    Writer.ACCEPTOR: {(FREE, CLAIMED), (CLAIMED, FREE)},
    Writer.WORKER: {(CLAIMED, LIVE), (LIVE, CLOSING), (CLOSING, FREE)},
    Writer.SUPERVISOR: {(CLAIMED, FREE), (LIVE, FREE), (CLOSING, FREE)},
    Writer.HANDOVER: set(),
    Writer.LOCKED: set(),
    Writer.ANYBODY: set(),
    Writer.METRICS: set(),
}


@pytest.mark.parametrize("writer", Writer)
@pytest.mark.parametrize(("old", "new"), list(itertools.product(SlotState, repeat=2)))
def test_every_pair(writer: Writer, old: SlotState, new: SlotState) -> None:
    if (old, new) in ALLOWED[writer]:
        states.check(writer, old, new)
        return
    with pytest.raises(
        ForbiddenTransitionError, match=f"{writer} may not .* {old.name} to {new.name}"
    ):
        states.check(writer, old, new)


def test_only_the_acceptor_makes_sessions() -> None:
    makers = {writer for writer, old, _ in states.TRANSITIONS if old == FREE}
    assert makers == {Writer.ACCEPTOR}


def test_every_state_can_become_free_without_its_worker() -> None:
    freed = {
        old
        for writer, old, new in states.TRANSITIONS
        if writer == Writer.SUPERVISOR and new == FREE
    }
    assert freed == {CLAIMED, LIVE, CLOSING}


def test_fresh_memory_is_free() -> None:
    assert SlotState(0) is FREE
