"""Where figures go: files that can be written, and a terminal that shows what is done meanwhile."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bench import cli, output, progress
from bench.table import Table

WIDE = Table("Wide", tuple(f"column {k}" for k in range(9)), (tuple(["1,234,567"] * 9),))


def test_a_file_is_looked_at_and_left_as_it_was(tmp_path: Path) -> None:
    there, missing = tmp_path / "there.json", tmp_path / "missing.json"
    there.write_text("before")
    assert output.file(there) == there
    assert output.file(missing) == missing
    assert output.file(None) is None
    assert there.read_text() == "before"
    assert not missing.exists()


def test_a_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "where"
    assert output.folder(folder) == folder
    assert list(folder.iterdir()) == []
    assert output.folder(None) is None


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(typer.BadParameter, match="a file that can be written: Is a directory"):
        output.file(tmp_path)
    with pytest.raises(typer.BadParameter, match="a folder that can be written: File exists"):
        output.folder(file)
    with pytest.raises(typer.BadParameter, match="No such file or directory"):
        output.file(tmp_path / "no" / "file.json")


@pytest.mark.parametrize("option", ["--report", "--json"])
def test_nothing_is_measured_for_an_output_that_cannot_be_written(
    option: str, tmp_path: Path
) -> None:
    tmp_path.joinpath("file").write_text("")
    done = CliRunner().invoke(cli.app, ["run", "fibers", option, str(tmp_path / "file" / "below")])
    assert done.exit_code == 2
    assert option in done.output


def test_figures_as_a_file(tmp_path: Path) -> None:
    output.write(tmp_path / "figures.json", {"a": 1})
    output.write(None, {"a": 1})
    assert json.loads(tmp_path.joinpath("figures.json").read_text()) == {"a": 1}


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown() as told:
        told("working")
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_leaves_what_is_printed_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.shown() as told:
        told("working")
        told("")
        print("a result")
        print("a warning", file=sys.stderr)
        told("again")
    out, err = capsys.readouterr()
    assert out == "a result\n"
    assert "working" in err
    assert err.index("working") < err.index("a warning\n") < err.index("again")


@pytest.mark.parametrize(("columns", "lined"), [("80", False), ("200", True)])
def test_a_table_too_wide_for_a_terminal_keeps_its_figures(
    columns: str,
    lined: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    WIDE.show()
    out = capsys.readouterr().out
    assert out.count("1,234,567") == 9
    assert ("┃" in out) is lined
