"""Records survive the file they go through."""

from __future__ import annotations

from pathlib import Path

from tests.soak import record
from tests.soak.record import Record


def test_what_is_written_is_read(tmp_path: Path) -> None:
    records = [
        Record(
            "brief",
            1.5,
            2.5,
            True,
            True,
            "127.0.0.1:1",
            7,
            100,
            [200],
            3,
            2,
            1,
            ["bob"],
            ["no"],
            "at",
        ),
        Record("silent"),
    ]
    file = tmp_path / "records"
    file.write_text("".join(map(record.dump, records)))
    assert record.read(file) == records
