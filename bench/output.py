"""Where figures are written to: looked at before a run, so that no figure is lost after it.

``bench.cli`` checks its options with these functions while it reads them.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import typer


def file(path: Path | None) -> Path | None:
    """A file that can be written, as it was; typer.BadParameter when it cannot."""
    if path is not None:
        try:
            is_new = not path.exists()
            path.open("a").close()
            if is_new:
                path.unlink()
        except OSError as error:
            raise typer.BadParameter(_refused("file", path, error)) from error
    return path


def folder(path: Path | None) -> Path | None:
    """A folder that takes files, made when it is missing; typer.BadParameter when it does not."""
    if path is not None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()
        except OSError as error:
            raise typer.BadParameter(_refused("folder", path, error)) from error
    return path


def write(path: Path | None, document: dict[str, Any]) -> None:
    """The figures as JSON, where a file is wanted."""
    if path is not None:
        path.write_text(json.dumps(document, indent=2) + "\n")


def _refused(what: str, path: Path, error: OSError) -> str:
    return f"{str(path)!r}: expected a {what} that can be written: {error.strerror}"
