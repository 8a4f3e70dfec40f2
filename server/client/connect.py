"""The command ``beespace connect``: finds the server, greets it, and starts a terminal or a script.

    target --> wire --> greeting --> text or binary dialect --> conversation --> repl | script

Called by :mod:`server.cli.command`. What the text console is told at first is what Tarantool's own
client says: output format, delimiter, one statement as a trial.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Final

from server import places
from server.client import answers, greeting, script, target, text
from server.client.binary import BinaryDialect
from server.client.conversation import Conversation
from server.client.failures import ClientError, Gone, Late, Refused
from server.client.message import Dialect, Message
from server.client.target import Target
from server.client.wire import Wire
from server.errors import ExitStatus

GREETING_SECONDS: Final = 10.0

_GUEST: Final = "guest"
_TRIAL: Final = "return true"


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
    server, rest = _greeting(wire)
    dialect = BinaryDialect(server.salt) if server.is_binary else text.TextDialect()
    dialect.feed(rest)
    conversation = Conversation(wire, dialect)
    _enter(conversation, dialect, aim)
    if wish.expression is not None:
        return script.run(conversation, wish.expression)
    if not _is_terminal():
        data = sys.stdin.buffer.read() if sys.stdin else b""
        return script.run(conversation, script.statement_of(data))
    from server.client import repl

    kind = "binary port" if server.is_binary else "console"
    banner = f"connected to {aim} ({kind}, version {server.version}); \\help for help"
    return repl.run(conversation, wish.prompt, banner)


def _hide_password(aim: Target) -> None:
    """Take a password off the list of processes."""
    if aim.password is not None:
        import setproctitle

        setproctitle.setproctitle(f"{places.APP_NAME} connect {aim}")


def _greeting(wire: Wire) -> tuple[greeting.Greeting, bytes]:
    """The server's greeting, and what came in one piece with it."""
    deadline = time.monotonic() + GREETING_SECONDS
    data = b""
    try:
        while len(data) < greeting.BYTES:
            data += wire.receive(deadline)
    except Late:
        raise ClientError(f"{wire.where} does not greet as a server of this kind does") from None
    except Gone:
        raise ClientError(f"{wire.where} has closed the connection before its greeting") from None
    found = greeting.parse(data[: greeting.BYTES])
    if found is None:
        raise ClientError(f"{wire.where} does not greet as a server of this kind does")
    return found, data[greeting.BYTES :]


def _enter(conversation: Conversation, dialect: Dialect, aim: Target) -> None:
    """Log in, and agree on how statements are sent."""
    said: str | None = None

    def execute(statement: str) -> Message:
        nonlocal said
        message = conversation.execute(statement, lambda _: None)
        said = answers.failure(message.text) or said
        return message

    try:
        if isinstance(dialect, BinaryDialect):
            if aim.user is not None and (aim.user != _GUEST or aim.password):
                conversation.login(*dialect.login(aim.user, _password(aim)))
        elif isinstance(dialect, text.TextDialect):
            execute("\\set output yaml")
            execute(f'require("console").delimiter("{text.DELIMITER}")')
            dialect.delimiter = text.DELIMITER
        said = answers.failure(execute(_TRIAL).text)
    except Gone:
        if said is None:
            raise
    except Refused as refusal:
        said = refusal.lines[0]
    if said is not None:
        raise Refused(f"{aim} refuses: {' '.join(said.split())}")


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _password(aim: Target) -> str:
    if aim.password is not None:
        return aim.password
    given = os.environ.get(places.PASSWORD_VARIABLE)
    if given is not None:
        return given
    if not _is_terminal():
        raise ClientError(f"no password for {aim}: give it in {places.PASSWORD_VARIABLE}")
    try:
        return getpass.getpass(f"password of {aim}: ", sys.stderr)
    except EOFError:
        raise ClientError(f"no password for {aim}") from None
