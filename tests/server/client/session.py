"""The client in a terminal, at a stand-in server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from tests.helpers.terminal import COLUMNS, Terminal
from tests.server.client.standin import CONSOLE, ENTRANCE, Turn, standin


class Session(Terminal):
    """The client at a stand-in that goes through a script; where the screen begins is known."""

    def __init__(self, uri: str, folder: Path, *arguments: str, **variables: str) -> None:
        super().__init__("connect", uri, *arguments, state=folder, variables=variables)
        self._name = arguments[1] if arguments else "beespace"
        self.banner = f"connected to {uri} (console, version 2.6.0); \\help for help"

    def __enter__(self) -> Self:
        self.shows(f"{self._name}>")
        return self

    def shows(self, text: str) -> None:
        """Wait until the screen is the banner and this."""
        lines = [self.banner[:COLUMNS], self.banner[COLUMNS:]]
        self.wait_for_screen("\n".join(line for line in lines if line) + "\n" + text.strip("\n"))


def script(*turns: Turn) -> tuple[Turn, ...]:
    """The turns of a console, its first ones included."""
    return (*ENTRANCE, *turns)


def console(
    folder: Path, turns: Sequence[Turn], name: str = "s", done: list[Turn] | None = None
) -> AbstractContextManager[str]:
    """A console that goes through the turns and stays."""
    return standin(folder / name, CONSOLE, turns, stays=True, done=done)
