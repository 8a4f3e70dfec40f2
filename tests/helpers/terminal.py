"""A command in a terminal of its own, and what its screen shows.

:class:`Terminal` starts the command with a pseudo-terminal as its controlling one and feeds what it
prints to a screen emulator, which also answers what the command asks of the terminal. Tests type,
and wait for the screen to be as expected: nothing here depends on how long something takes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyte

from tests.helpers.closing import Closing
from tests.helpers.server import ROOT, environment
from tests.helpers.wait import wait_until

ROWS: Final = 30
COLUMNS: Final = 80
DEADLINE: Final = 10.0

CTRL_C, CTRL_D, CTRL_R = "\x03", "\x04", "\x12"
ENTER, TAB, UP, DOWN, LEFT = "\r", "\t", "\x1b[A", "\x1b[B", "\x1b[D"


def pasted(text: str) -> str:
    """Text as a terminal sends it when it is pasted."""
    return f"\x1b[200~{text}\x1b[201~"


class Terminal(Closing):
    """``python -m server`` with arguments, in a terminal; its input and output may be others."""

    def __init__(
        self,
        *arguments: str,
        state: os.PathLike[str],
        variables: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._screen = _Screen(self._master)
        self._stream = pyte.ByteStream(self._screen)
        names = {"TERM": "xterm-256color", "XDG_STATE_HOME": os.fspath(state), **(variables or {})}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server", *arguments],
            stdin=slave if stdin is None else stdin,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            cwd=ROOT,
            env={**environment(), **names},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)

    def close(self) -> None:
        """End the command and close the terminal."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, *keys: str) -> None:
        """Press keys."""
        os.write(self._master, "".join(keys).encode())

    @property
    def lines(self) -> list[str]:
        """What the screen shows now, without blank ends."""
        self._read()
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def cursor(self) -> tuple[int, int]:
        """Line and column of the cursor."""
        self._read()
        return self._screen.cursor.y, self._screen.cursor.x

    def colours(self) -> set[str]:
        """The colours on the screen."""
        self._read()
        rows: Any = self._screen.buffer
        return {rows[y][x].fg for y in range(ROWS) for x in range(COLUMNS)}

    def wait_for(self, *last: str) -> None:
        """Wait until these are the last lines of the screen."""
        self._await(lambda lines: lines[-len(last) :], list(last))

    def wait_for_screen(self, text: str) -> None:
        """Wait until the screen shows exactly this; blank lines around it do not count."""
        self._await(lambda lines: lines, text.strip("\n").split("\n"))

    def _await(self, part: Callable[[list[str]], list[str]], expected: list[str]) -> None:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: part(self.lines) == expected, DEADLINE)
        shown = "\n".join(self.lines)
        assert part(self.lines) == expected, f"expected {expected} on the screen:\n{shown}"

    def read_until(self, text: str) -> None:
        """Read until the screen shows this, and no further: the command soon waits to print."""
        while not any(text in line for line in self._screen.display):
            assert select.select([self._master], [], [], DEADLINE)[0], f"{text!r} does not come"
            self._stream.feed(os.read(self._master, 1 << 10))

    def wait_for_end(self) -> int:
        """Wait until the command has ended: its exit code."""
        wait_until(lambda: self.lines is not None and self.process.poll() is not None, DEADLINE)
        return self.process.wait()

    def _read(self) -> None:
        while select.select([self._master], [], [], 0)[0]:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # the command has ended, and nobody else has the terminal
                return
            self._stream.feed(data)


class _Screen(pyte.Screen):
    """A screen that answers where its cursor is."""

    def __init__(self, master: int) -> None:
        super().__init__(COLUMNS, ROWS)
        self._master = master

    def write_process_input(self, data: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._master, data.encode())


def _take_terminal() -> None:
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)
