"""The history file: private, kept between runs, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.client import history


def test_lines_are_found_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    first = history.open_history(path)
    first.append_string("one")
    first.append_string("for i = 1, 2 do\nend")
    assert list(history.open_history(path).load_history_strings()) == [
        "for i = 1, 2 do\nend",
        "one",
    ]


def test_the_file_is_the_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.touch(0o644)
    history.open_history(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_with_a_space_before_it_is_not_written_down(tmp_path: Path) -> None:
    lines = history.open_history(tmp_path / "history")
    lines.append_string(" box.schema.user.passwd('secret')")
    lines.append_string("one")
    assert "secret" not in (tmp_path / "history").read_text()
    assert lines.get_strings() == [" box.schema.user.passwd('secret')", "one"]


def test_a_file_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    lines = history.open_history(tmp_path)
    lines.append_string("one")
    assert lines.get_strings() == ["one"]
    gone = history.open_history(tmp_path / "sub" / "history")
    (tmp_path / "sub" / "history").unlink()
    (tmp_path / "sub").rmdir()
    gone.append_string("two")
    assert gone.get_strings() == ["two"]


def test_the_default_is_in_the_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history.default_path() == tmp_path / "beespace-client" / "history"
