"""The first words with a server: its greeting, a login, and how statements are sent.

What the text console is told at first is what Tarantool's own client says: output format,
delimiter, one statement as a trial. :mod:`server.client.connect` calls it once; it ends with a
conversation that works, or with the one line of a ClientError that says why not.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
import time
from pathlib import Path
from typing import Final, TextIO

from server import places
from server.client import answers, delimiter, greeting, text
from server.client.binary import BinaryDialect
from server.client.conversation import Conversation
from server.client.failures import ClientError, Gone, Late, Refused
from server.client.message import Dialect, Message
from server.client.target import Target
from server.client.wire import Wire

GREETING_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 10.0
"""For all that is said before the first statement; the time to type a password is not in it."""

_GUEST: Final = "guest"
_NO_RIGHTS: Final = ("denied", "Authentication required")
_TRIAL: Final = "return true"


def greeting_of(wire: Wire) -> tuple[greeting.Greeting, bytes]:
    """The server's greeting, and what came in one piece with it."""
    deadline = time.monotonic() + GREETING_SECONDS
    data = b""
    try:
        while len(data) < greeting.BYTES and greeting.may_become(data):
            data += wire.receive(deadline)
    except Late:
        what = "its whole greeting" if data else "a greeting"
        seconds = f"{GREETING_SECONDS:.0f} s"
        raise ClientError(f"{wire.where} has not sent {what} within {seconds}") from None
    except Gone:
        raise ClientError(f"{wire.where} has closed the connection before its greeting") from None
    found = greeting.parse(data[: greeting.BYTES])
    if found is None:
        raise ClientError(f"{wire.where} does not greet as a server of this kind does")
    return found, data[greeting.BYTES :]


def enter(conversation: Conversation, dialect: Dialect, aim: Target) -> None:
    """Log in, and agree on how statements are sent."""
    login = _login(dialect, aim)
    deadline = time.monotonic() + ANSWER_SECONDS
    said: str | None = None

    def execute(statement: str) -> Message:
        nonlocal said
        message = conversation.execute(statement, lambda _: None, deadline=deadline)
        said = answers.failure(message.text) or said
        return message

    try:
        if login is not None:
            conversation.login(*login, deadline)
        if isinstance(dialect, text.TextDialect):
            execute("\\set output yaml")
            execute(f'require("console").delimiter("{delimiter.HIDDEN}")')
            dialect.delimiter = delimiter.HIDDEN
        said = answers.failure(execute(_TRIAL).text)
    except Late:
        raise ClientError(f"{aim} has not answered within {ANSWER_SECONDS:.0f} s") from None
    except Gone:
        if said is None:
            raise
    except Refused as refusal:
        said = refusal.lines[0]
    if said is not None:
        raise Refused(f"{aim} refuses: {' '.join(said.split())}{_hint(dialect, aim, said)}")


def _login(dialect: Dialect, aim: Target) -> tuple[int, bytes] | None:
    """The first request when one is to log in; ClientError for a user where there is none."""
    if not isinstance(dialect, BinaryDialect):
        if aim.user is not None:
            where = aim.address
            raise ClientError(f"{where} is a console: it takes no user, who reaches it is admin")
        return None
    if aim.user is None or (aim.user == _GUEST and not aim.password):
        return None
    return dialect.login(aim.user, _password(aim))


def _hint(dialect: Dialect, aim: Target, said: str) -> str:
    """What a guest can do who may do nothing."""
    is_guest = isinstance(dialect, BinaryDialect) and aim.user in (None, _GUEST)
    if not is_guest or not any(word in said for word in _NO_RIGHTS):
        return ""
    return f"; to log in, {places.APP_NAME} connect USER@{aim.address}"


def _password(aim: Target) -> str:
    if aim.password is not None:
        return aim.password
    given = os.environ.get(places.PASSWORD_VARIABLE)
    if given is not None:
        return given
    with contextlib.ExitStack() as stack:
        try:
            stream: TextIO = stack.enter_context(Path("/dev/tty").open("w", encoding="utf-8"))
        except OSError:
            if sys.stdin is None or not sys.stdin.isatty():
                variable = places.PASSWORD_VARIABLE
                raise ClientError(f"no password for {aim}: give it in {variable}") from None
            stream = sys.stderr
        return _asked(aim, stream)


def _asked(aim: Target, stream: TextIO) -> str:
    try:
        return getpass.getpass(f"password of {aim}: ", stream)
    except KeyboardInterrupt:
        print(file=stream, flush=True)
        raise
    except EOFError:
        print(file=stream, flush=True)
        raise ClientError(f"no password for {aim}") from None
