"""The server made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shm.segment import Segment
from tests.server.metrics.hive import Hive


@pytest.fixture
def hive(segment_name: str, tmp_path: Path) -> Iterator[Hive]:
    made = Segment.create(segment_name, capacity=1008, workers=2, spare=2)
    made.header.reserved = 8
    yield Hive(made, tmp_path)
    made.close()
