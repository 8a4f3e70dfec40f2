"""The terminal: reads statements, runs them one after another, prints what comes.

Answers go to the standard output. When that is no terminal they are all that goes there, as the
server has sent them; the rest is shown in the terminal where the statements are typed.

Ctrl-C while a statement runs leaves it running, since a console has no way to end it, and drops
what was typed behind it. Its answer is shown when it comes; until then a text console takes no
other statement, a binary one does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, TextIO

from server.client import answers, delimiter, output, shown
from server.client.conversation import Conversation, leaves
from server.client.editor import Editor
from server.client.failures import Interrupted
from server.client.interrupts import Interrupts
from server.client.message import Message
from server.errors import ExitStatus

_HELP: Final = ("\\", "\\h", "\\help")
KEYS: Final = """\
Keys of this client:
  Enter    run the statement, or go on in the next line while it is not complete
  Tab      complete a name;  Up, Down: lines typed before;  Ctrl-R: search them
  Ctrl-C   drop the line; while one runs: do not wait, it goes on in the server
  Ctrl-D   leave, as \\quit does
A line that begins with a space is not written into the history file.
\\set delimiter is kept by this client, the server does not hear of it.
"""
LATE: Final = "# answer of a statement before"
CUT: Final = "# cut here: the rest of the answer is not shown"
_DONE: Final = Message(0, b"---\n...\n")


def wants_colours() -> bool:
    """Whether the standard output takes them and the user has not said no."""
    dumb = os.environ.get("TERM", "dumb") in ("dumb", "unknown")
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not dumb


def run(conversation: Conversation, name: str, banner: str) -> ExitStatus:
    """Talk with the user until one of the three leaves."""
    if sys.stdout is not None and sys.stdout.isatty():
        return _run(conversation, name, banner, sys.stdout)
    terminal = Path(os.ttyname(sys.stdin.fileno()))
    with terminal.open("w", encoding="utf-8") as screen:
        return _run(conversation, name, banner, screen)


def _run(conversation: Conversation, name: str, banner: str, screen: TextIO) -> ExitStatus:
    terminal = _Terminal(conversation, screen)
    editor = Editor(conversation, name, terminal.colours, terminal.show_late, screen)
    terminal.say(banner)
    while True:
        try:
            for statement in editor.read():
                if leaves(statement):
                    return ExitStatus.OK
                mark = delimiter.setting(statement)
                if mark is not None:
                    editor.delimiter = mark
                    terminal.show(_DONE)
                    terminal.say("")
                elif not terminal.execute(statement):
                    break
        except KeyboardInterrupt:
            continue
        except EOFError:
            return ExitStatus.OK


class _Terminal:
    """Statements, their answers on the standard output, and the client's own words."""

    def __init__(self, conversation: Conversation, screen: TextIO) -> None:
        self._conversation = conversation
        self._screen = screen
        self._is_plain = screen is not sys.stdout
        self.colours = not self._is_plain and wants_colours()

    def execute(self, statement: str) -> bool:
        """Run one statement and print its answer; false when the user has had enough."""
        try:
            with Interrupts() as interrupts:
                number = interrupts.fileno()
                message = self._conversation.execute(statement, self.show_late, number)
        except Interrupted:
            waits = ", and nothing else runs before" if self._conversation.busy else ""
            self.say(f"\nnot waiting any more: the statement goes on in the server{waits}\n")
            return False
        except ValueError as error:
            self.say(f"{error}\n")
            return True
        try:
            self.show(message)
        except KeyboardInterrupt:
            self.say(f"\n{CUT}\n")
            return False
        if statement.strip() in _HELP and answers.failure(message.text) is None:
            self.say(KEYS.rstrip())
        self.say("")
        self._conversation.settle(statement)
        return True

    def show_late(self, message: Message) -> None:
        """Print a message that is not the answer to what runs now, if anything does."""
        if message.ticket and not message.is_push:
            self.say(LATE)
        self.show(message)

    def show(self, message: Message) -> None:
        """Print a message."""
        text = message.text
        if not self._is_plain:
            made = shown.coloured(text) if self.colours else shown.plain(text)
            text = made.encode(sys.stdout.encoding or "utf-8", "replace")
        output.write(text.removesuffix(b"\n") + b"\n")

    def say(self, text: str) -> None:
        """Print a text of the client's own."""
        print(text, file=self._screen, flush=True)
