"""An engine per module, and a session of it per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with engine.connect() as made:
        yield made
