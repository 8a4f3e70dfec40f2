"""One statement without a terminal, for scripts: ``--eval EXPR``, or all of the standard input.

stdout   pushes as they come, then the answer
stderr   the text of an error, when the answer is one

:mod:`server.client.connect` runs it and ends with the code it returns.
"""

from __future__ import annotations

import os
import sys

from server.client import answers
from server.client.conversation import Conversation, leaves
from server.client.failures import ClientError
from server.client.message import Message
from server.errors import ExitStatus


def statement_of(data: bytes) -> str:
    """The statement that a standard input is: without the line end that editors and echo add."""
    text = data.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")


def run(conversation: Conversation, statement: str) -> ExitStatus:
    """Run it and print what it answers."""
    if leaves(statement):
        return ExitStatus.OK
    try:
        message = conversation.execute(statement, _print)
    except ValueError as error:
        raise ClientError(str(error)) from None
    failure = answers.failure(message.text)
    if failure is not None:
        sys.stdout.flush()
        os.write(sys.stderr.fileno(), failure.encode("utf-8", "replace") + b"\n")
        return ExitStatus.ERROR_ANSWERED
    _print(message)
    return ExitStatus.OK


def _print(message: Message) -> None:
    text = message.text
    sys.stdout.buffer.write(text if text.endswith(b"\n") or not text else text + b"\n")
    sys.stdout.buffer.flush()
