"""What can go wrong between the client and a server, as exceptions.

The ones that end the command are :class:`server.errors.ServerError` with one line and exit code 2.
``Interrupted`` and ``Late`` never leave the client.
"""

from __future__ import annotations

from server.errors import ExitStatus, ServerError


class ClientError(ServerError):
    """No connection, or no more; ``lines`` has the one line that says why."""

    def __init__(self, line: str) -> None:
        super().__init__(line, exit_code=ExitStatus.NO_CONNECTION)


class Gone(ClientError):  # noqa: N818
    """The server, or what leads to it, has closed the connection."""


class Refused(ClientError):  # noqa: N818
    """The server answers, and does not want us: table full, wrong password, no rights."""


class Late(Exception):  # noqa: N818
    """Nothing came before the deadline; the connection is as good as before."""


class Interrupted(Exception):  # noqa: N818
    """The user does not want to wait any more; the connection is as good as before."""
