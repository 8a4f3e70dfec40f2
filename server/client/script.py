r"""Statements without a terminal, for scripts: ``--eval EXPR``, or all of the standard input.

stdout   pushes as they come, then the answer
stderr   the text of an error, when an answer is one; nothing runs behind it

A text is one statement. Lines before it that begin with a backslash are statements of their own,
and ``\set delimiter X`` among them makes several of what follows.

:mod:`server.client.connect` runs it and ends with the code it returns.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Final

from server.client import answers, delimiter, output
from server.client.conversation import Conversation, leaves
from server.client.failures import ClientError
from server.client.message import Message
from server.errors import ExitStatus

_COMMAND: Final = re.compile(r"(?:[ \t\r]*\n)*(\\[^\n]*)(?:\n|\Z)")


def statement_of(data: bytes) -> str:
    """The text that a standard input is: without the line end that editors and echo add."""
    text = data.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")


def statements(text: str) -> list[str]:
    """The statements of a text, see the head of this module."""
    if not _COMMAND.match(text):
        return [text]
    found, mark = list[str](), ""
    while line := _COMMAND.match(text):
        text = text[line.end() :]
        asked = delimiter.setting(line[1], mark)
        if asked is None:
            found.append(line[1].rstrip())
        else:
            mark = asked
    for ends, part in delimiter.sections(text, mark) if mark else [("", text)]:
        whole, rest = delimiter.split(part, ends) if ends else ([], part)
        found += whole
        if ends is not None and rest.strip():
            found.append(rest)
    return found


def run(conversation: Conversation, text: str) -> ExitStatus:
    """Run what a text says and print what is answered."""
    for statement in statements(text):
        if leaves(statement):
            break
        status = _run(conversation, statement)
        if status is not ExitStatus.OK:
            return status
    return ExitStatus.OK


def _run(conversation: Conversation, statement: str) -> ExitStatus:
    try:
        message = conversation.execute(statement, _print)
    except ValueError as error:
        raise ClientError(str(error)) from None
    failure = answers.failure(message.text)
    if failure is not None:
        os.write(sys.stderr.fileno(), failure.encode("utf-8", "replace") + b"\n")
        return ExitStatus.ERROR_ANSWERED
    _print(message)
    return ExitStatus.OK


def _print(message: Message) -> None:
    text = message.text
    output.write(text if text.endswith(b"\n") or not text else text + b"\n")
