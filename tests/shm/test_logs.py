"""Log lines, letter by letter, with a clock that stands still."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest

from shm import logs
from shm.launch import LogOrder


class Frozen(datetime):
    """A clock that stands at one moment."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime(2026, 11, 22, 5, 30, 0, 123456, tzinfo=tz or UTC)


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "datetime", Frozen)
    monkeypatch.setattr(os, "getpid", lambda: 4711)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def configure(form: str = "plain", level: str = "info", role: str = "worker-0") -> None:
    """Set up logging as a process does."""
    logs.configure(LogOrder(level=level, format=form), role)


def test_plain_line(capfd: pytest.CaptureFixture[str]) -> None:
    configure()
    logs.get(session=42).info("text", key="value", count=3)
    line = "2026-11-22 05:30:00.123 [4711] worker-0/42 I> text key=value count=3\n"
    assert capfd.readouterr() == ("", line)


def test_plain_line_without_session(capfd: pytest.CaptureFixture[str]) -> None:
    configure(role="supervisor")
    logs.get().warning("slow")
    assert capfd.readouterr().err == "2026-11-22 05:30:00.123 [4711] supervisor W> slow\n"


def test_json_line(capfd: pytest.CaptureFixture[str]) -> None:
    configure("json")
    logs.get(session=42).error('a "text"\nof two lines é', key=[1, None], other=os)
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert json.loads(error) == {
        "time": "2026-11-22T05:30:00.123+00:00",
        "level": "error",
        "message": 'a "text"\nof two lines é',
        "pid": 4711,
        "role": "worker-0",
        "session": 42,
        "key": [1, None],
        "other": str(os),
    }


def test_one_line_a_message(capfd: pytest.CaptureFixture[str]) -> None:
    configure()
    logs.get().info("two\r\nlines", key="a\nb")
    assert capfd.readouterr().err.endswith(" I> two\\r\\nlines key=a\\nb\n")


def test_a_line_commands_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    configure()
    logs.get().info("\x1b[2J\t\x00é", key="a\x7fb\x9b\u2028")
    line = capfd.readouterr().err
    assert line.endswith(" I> \\x1b[2J\\t\\x00é key=a\\x7fb\\x9b\\u2028\n")


def test_a_text_that_is_no_unicode_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    configure()
    logs.get().info("a\udc80b")
    assert capfd.readouterr().err.endswith("I> a?b\n")


@pytest.mark.parametrize(
    ("level", "letters"),
    [
        ("fatal", "C"),
        ("crit", "C"),
        ("error", "CE"),
        ("warn", "CEW"),
        ("info", "CEWI"),
        ("verbose", "CEWIV"),
        ("debug", "CEWIVD"),
    ],
)
def test_level_filters(capfd: pytest.CaptureFixture[str], level: str, letters: str) -> None:
    configure(level=level)
    log = logs.get()
    for method in (log.critical, log.error, log.warning, log.info, log.verbose, log.debug):
        method("text")
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition("> ")[0][-1] for line in lines] == list(letters)


@pytest.mark.parametrize(("level", "letter"), list(zip(logs.LEVELS, "CCEWIVD", strict=True)))
def test_log_takes_a_level_by_name(
    capfd: pytest.CaptureFixture[str], level: str, letter: str
) -> None:
    configure(level="debug")
    logs.get().log(level, "text", n=1)
    assert capfd.readouterr().err.endswith(f"worker-0 {letter}> text n=1\n")


def test_a_line_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    configure()
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data))
    with Path(os.devnull).open("w") as null:
        monkeypatch.setattr("sys.stderr", null)
        logs.get().info("text", key="value")
    assert [line.count(b"\n") for line in written] == [1]


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """A file that this process logs to, until the end of the test."""
    path = tmp_path / "bee.log"
    logs.configure(LogOrder(file=str(path)), "worker-0")
    yield path
    logs.configure(LogOrder(), "worker-0")


def test_lines_go_to_a_file(log_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logs.get().info("one")
    logs.configure(LogOrder(level="error", file=str(log_file)), "worker-0")
    logs.get().info("two")
    logs.get().error("three")
    lines = log_file.read_text().splitlines()
    assert [line.rpartition("> ")[2] for line in lines] == ["one", "three"]
    assert log_file.stat().st_mode & 0o777 == 0o600
    assert capfd.readouterr() == ("", "")


def test_a_file_that_was_renamed_is_opened_anew(log_file: Path) -> None:
    logs.get().info("one")
    old = log_file.rename(log_file.with_suffix(".1"))
    logs.get().info("two")
    logs.reopen()
    logs.get().info("three")
    assert [line[-3:] for line in old.read_text().splitlines()] == ["one", "two"]
    assert log_file.read_text().endswith("I> three\n")


def test_a_file_that_cannot_be_opened_anew_is_kept(log_file: Path) -> None:
    old = log_file.rename(log_file.with_suffix(".1"))
    log_file.mkdir()
    logs.reopen()
    logs.get().info("two")
    first, second = old.read_text().splitlines()
    assert first.endswith(f"E> cannot reopen the log file file={log_file} reason=Is a directory")
    assert second.endswith("I> two")


def test_a_file_that_cannot_be_opened(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    order = LogOrder(file=str(tmp_path / "none" / "bee.log"))
    with pytest.raises(FileNotFoundError):
        logs.configure(order, "supervisor", must=True)
    logs.configure(order, "worker-0")
    logs.get().info("goes on")
    first, second = capfd.readouterr().err.splitlines()
    assert first.endswith(f"file={order.file} reason=No such file or directory")
    assert "E> cannot open the log file" in first
    assert second.endswith("I> goes on")
    logs.configure(LogOrder(), "worker-0")


def test_reopening_without_a_file_does_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    configure()
    logs.reopen()
    logs.get().info("text")
    assert capfd.readouterr().err.endswith("I> text\n")


@pytest.mark.parametrize(
    ("before", "rich"), [("", False), ("import rich; ", True)], ids=["without", "with"]
)
def test_rich_is_not_loaded_for_it_and_is_left_alone(before: str, rich: bool) -> None:
    told = "import sys; print('rich' in sys.modules, 'rich.traceback' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"{before}import shm.logs; {told}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(rich), "False"]
