"""The terminal: reads statements, runs them one after another, prints what comes.

Ctrl-C while a statement runs leaves it running, since a console has no way to end it, and drops
what was typed behind it. Its answer is shown when it comes; until then a text console takes no
other statement, a binary one does.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from server.client import answers, shown
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
"""


def wants_colours() -> bool:
    """Whether the standard output takes them and the user has not said no."""
    dumb = os.environ.get("TERM", "dumb") in ("dumb", "unknown")
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not dumb


def run(conversation: Conversation, name: str, banner: str) -> ExitStatus:
    """Talk with the user until one of the three leaves."""
    terminal = _Terminal(conversation, wants_colours())
    editor = Editor(conversation, name, terminal.colours, terminal.show)
    terminal.say(banner)
    while True:
        try:
            for statement in editor.read():
                if leaves(statement):
                    return ExitStatus.OK
                if not terminal.execute(statement):
                    break
        except KeyboardInterrupt:
            continue
        except EOFError:
            return ExitStatus.OK


class _Terminal:
    """The standard output, and statements whose answers go there."""

    def __init__(self, conversation: Conversation, colours: bool) -> None:
        self.colours = colours
        self._conversation = conversation

    def execute(self, statement: str) -> bool:
        """Run one statement and print its answer; false when the user has stopped waiting."""
        try:
            with Interrupts() as interrupts:
                message = self._conversation.execute(statement, self.show, interrupts.fileno())
        except Interrupted:
            waits = ", and nothing else runs before" if self._conversation.busy else ""
            self.say(f"\nnot waiting any more: the statement goes on in the server{waits}\n")
            return False
        except ValueError as error:
            self.say(f"{error}\n")
            return True
        self.show(message)
        if statement.strip() in _HELP and answers.failure(message.text) is None:
            self.say(KEYS.rstrip())
        self.say("")
        return True

    def show(self, message: Message) -> None:
        """Print a message."""
        text = shown.coloured(message.text) if self.colours else shown.plain(message.text)
        self.say(text.removesuffix("\n"))

    def say(self, text: str) -> None:
        """Print a text of the client's own."""
        print(text, flush=True)
