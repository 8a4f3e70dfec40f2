"""The command ``beespace connect``: finds the server, greets it, and starts a terminal or a script.

    target --> wire --> entrance --> text or binary dialect --> conversation --> repl | script

Called by :mod:`server.cli.command`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass

from server import places
from server.client import entrance, script, target, text
from server.client.binary import BinaryDialect
from server.client.conversation import Conversation
from server.client.target import Target
from server.client.wire import Wire
from server.errors import ExitStatus, ServerError


@dataclass(frozen=True)
class Wish:
    """What the command line asks for; None where it says nothing."""

    uri: str | None = None
    run_dir: str | None = None
    name: str | None = None
    user: str | None = None
    prompt: str = "beespace"
    expression: str | None = None


def run(wish: Wish) -> ExitStatus:
    """Do it; ClientError when there is no connection, or no more."""
    # The command's own handlers end it with code 0, which is right for servers only.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _run(wish)
    except KeyboardInterrupt:
        # Passwords are typed without echo: all is put back, now the shell may know why we end.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        raise
    except BrokenPipeError:
        # Whoever read our output has enough of it; Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.FAILED


def _run(wish: Wish) -> ExitStatus:
    if wish.uri is not None:
        aim = target.parse(wish.uri, wish.user)
        _hide_password(aim)
    else:
        aim = target.local(wish.run_dir, wish.name, wish.user)
    wire = Wire.open(aim.address, str(aim))
    with contextlib.closing(wire):
        return _talk(wish, aim, wire)


def _talk(wish: Wish, aim: Target, wire: Wire) -> ExitStatus:
    server, rest = entrance.greeting_of(wire)
    dialect = BinaryDialect(server.salt) if server.is_binary else text.TextDialect()
    dialect.feed(rest)
    conversation = Conversation(wire, dialect)
    entrance.enter(conversation, dialect, aim)
    if wish.expression is not None:
        return script.run(conversation, wish.expression)
    if not _is_terminal():
        return script.run(conversation, script.statement_of(_input()))
    from server.client import repl

    kind = "binary port" if server.is_binary else "console"
    banner = f"connected to {aim} ({kind}, version {server.version}); \\help for help"
    return repl.run(conversation, wish.prompt, banner)


def _input() -> bytes:
    try:
        return sys.stdin.buffer.read() if sys.stdin else b""
    except OSError as error:
        raise ServerError(f"cannot read the standard input: {error.strerror}") from None


def _hide_password(aim: Target) -> None:
    """Take a password off the list of processes."""
    if aim.password is not None:
        import setproctitle

        setproctitle.setproctitle(f"{places.APP_NAME} connect {aim}")


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
