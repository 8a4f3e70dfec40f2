"""The one kind of failure the command line reports: a text for a person and an exit code.

Raised anywhere in the control plane, caught only by :mod:`server.cli`, which prints
``beespace: <text>`` and exits.
"""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """How the command ends."""

    OK = 0
    FAILED = 1
    """The system or the application refused: port in use, no memory, an error in Lua."""
    SETTINGS = 2
    """What the user gave is wrong."""
    NO_CONNECTION = 2
    """A client has no server to talk to: the same number, for the user has named it."""
    ERROR_ANSWERED = 3
    """The server has answered a client's statement with an error."""
    NOT_RUNNING = 3
    """There is no server that a command could be given to: the number that service scripts use."""


class ServerError(Exception):
    """Something that stops the command; ``lines`` are printed one by one."""

    def __init__(self, *lines: str, exit_code: ExitStatus = ExitStatus.FAILED) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
        self.exit_code = exit_code


class SettingsError(ServerError):
    """Settings that cannot be used: one line for each wrong key."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*map(_printable, lines), exit_code=ExitStatus.SETTINGS)


def _printable(line: str) -> str:
    """One line, whatever the keys and names in it are made of."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in line
    )
