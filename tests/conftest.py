"""What all tests share: a segment with its table, removed afterwards, and repeatable examples."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from hypothesis import settings

from shm.segment import Segment
from shm.sessions import SessionTable

settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate")


@pytest.fixture
def segment_name() -> str:
    """A name that no other segment of this machine has."""
    return f"beespace-test-{secrets.token_hex(6)}"


@pytest.fixture
def segment(segment_name: str) -> Iterator[Segment]:
    """A segment of 8 slots for 2 workers."""
    made = Segment.create(segment_name, capacity=8, workers=2)
    yield made
    made.close()


@pytest.fixture
def table(segment: Segment) -> Iterator[SessionTable]:
    """The session table of ``segment``."""
    view = SessionTable(segment)
    yield view
    view.close()
