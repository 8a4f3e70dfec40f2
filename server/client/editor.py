"""The line editor: prompt, continuation, history, completion, by prompt-toolkit.

    Enter     runs what is complete; while the last statement is not, begins a new line
    Tab       completes the word, or indents an empty line of a continuation
    Ctrl-C    drops the line;  Ctrl-D on an empty one leaves

Which part of a text is complete, and how a word goes on, is asked of the server. While it cannot
answer, a text counts as one complete statement and words are not completed. With a delimiter of the
user's a statement is complete where that stands.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus, is_searching
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.defaults import create_output
from pygments.lexers import LuaLexer

from server.client import delimiter, history, questions
from server.client.conversation import Conversation, Show
from server.client.failures import Gone
from server.client.message import Message

_PATIENCE: Final = 1.0
"""Seconds for the server to say how a word or a statement goes on."""
_INDENT: Final = "    "
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:]*\Z")
_LONGEST: Final = 1 << 18
"""Bytes of a text whose statements are told apart; a longer one is one statement."""


class Editor:
    """Reads statements from the terminal; ``show`` is for what comes while a line is edited.

    ``delimiter`` is what the user lets statements end with, "" for nothing.
    """

    def __init__(
        self,
        conversation: Conversation,
        name: str,
        colours: bool,
        show: Show,
        screen: TextIO,
        history_path: Path | None = None,
    ) -> None:
        self.delimiter = ""
        self._conversation = conversation
        self._show = show
        self._completer = _FromServer(conversation)
        self._split: tuple[str, tuple[list[str], str]] | None = None
        self._session: PromptSession[str] = PromptSession(
            message=f"{name}> ",
            multiline=True,
            prompt_continuation=f"{' ' * len(name)}> ",
            history=history.open_history(history_path or history.default_path()),
            key_bindings=self._bindings(),
            completer=self._completer,
            complete_while_typing=False,
            lexer=PygmentsLexer(LuaLexer) if colours else None,
            color_depth=None if colours else ColorDepth.DEPTH_1_BIT,
            enable_suspend=True,
            output=create_output(screen),
        )

    def read(self) -> list[str]:
        """The next statements; KeyboardInterrupt, EOFError or Gone instead of them."""
        self._split = None
        self._completer.forget()
        text = self._session.prompt(pre_run=self._listen)
        statements, rest = self._parts(text)
        return [one for one in (*statements, rest) if one.strip()]

    def _parts(self, text: str) -> tuple[list[str], str]:
        """Complete statements, and the start of one that is not."""
        if self._split is None or self._split[0] != text:
            self._split = text, self._asked(text)
        return self._split[1]

    def _asked(self, text: str) -> tuple[list[str], str]:
        statements, rest = list[str](), ""
        for mark, part in delimiter.sections(text, self.delimiter):
            if rest:
                statements.append(rest)
            whole, rest = ([part], "") if mark is None else self._split_at(mark, part)
            statements += whole
        return statements, rest

    def _split_at(self, mark: str, text: str) -> tuple[list[str], str]:
        if mark:
            return delimiter.split(text, mark)
        data = text.encode("utf-8", "surrogateescape")
        if not text.strip() or len(data) > _LONGEST:
            return [text], ""
        found = self._conversation.ask(questions.ends_of_statements(text), _PATIENCE)
        if found is None:
            return [text], ""
        statements, start = [], 0
        for end in map(int, found.split()):
            statements.append(data[start:end].decode("utf-8", "surrogateescape"))
            start = end + 1
        return statements, data[start:].decode("utf-8", "surrogateescape")

    def _listen(self) -> None:
        """Watch the connection while the line is edited."""

        def heard() -> None:
            messages: list[Message] = []
            try:
                self._conversation.idle(messages.append)
            except Gone as gone:
                loop.remove_reader(number)
                _end(gone)
            if messages:
                run_in_terminal(lambda: [self._show(message) for message in messages])

        number = self._conversation.wire.fileno()
        loop = asyncio.get_running_loop()
        loop.add_reader(number, heard)

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("enter", filter=has_focus(DEFAULT_BUFFER) & ~is_searching)
        def _enter(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            try:
                _, rest = self._parts(buffer.text)
            except Gone as gone:
                _end(gone)
                return
            if rest:
                buffer.cursor_position = len(buffer.text)
                buffer.insert_text("\n")
            else:
                buffer.validate_and_handle()

        @bindings.add("tab", filter=has_focus(DEFAULT_BUFFER))
        def _tab(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if _at_indent(buffer.document):
                buffer.insert_text(_INDENT)
            elif buffer.complete_state:
                buffer.complete_next()
            elif more := self._completer.certain(buffer.document):
                # Here and now: what is typed next goes behind it.
                buffer.insert_text(more)
            else:
                buffer.start_completion()

        return bindings


class _FromServer(Completer):
    """Completions that the server knows; those of one word are asked for once a line."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._known: dict[str, list[str]] = {}

    def forget(self) -> None:
        """Ask again, for statements may have made new names."""
        self._known.clear()

    def certain(self, document: Document) -> str:
        """What all completions of the word before the cursor begin with, without the word."""
        word, (start, *_) = self._matches(document)
        return start[len(word) :]

    def get_completions(
        self, document: Document, _complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """The ways in which the word before the cursor goes on."""
        word, (_, *matches) = self._matches(document)
        shown = max(word.rfind("."), word.rfind(":")) + 1
        for match in sorted(set(matches)):
            yield Completion(match, -len(word), display=match[shown:])

    def _matches(self, document: Document) -> tuple[str, list[str]]:
        """The word, the longest common start of its completions, and these."""
        found = _WORD.search(document.text_before_cursor)
        word = found[0] if found else ""
        if word and word not in self._known:
            try:
                lines = self._conversation.ask(questions.completions(word), _PATIENCE) or b""
            except Gone as gone:
                _end(gone)
                lines = b""
            known = lines.decode("utf-8", "replace").split("\n")
            self._known[word] = [one for one in known if one.startswith(word)]
        return word, self._known.get(word) or [word]


def _at_indent(document: Document) -> bool:
    """Whether the cursor is at the beginning of a continuation."""
    return document.cursor_position_row > 0 and not document.current_line_before_cursor.strip()


def _end(gone: Gone) -> None:
    app = get_app()
    if not app.is_done:
        app.exit(exception=gone)
