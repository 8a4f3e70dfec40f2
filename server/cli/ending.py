"""``beespace kill`` and ``beespace cancel``: end sessions, or what runs for them.

    ids, and options of filters --> the server's table, when there is more than ids to look for
                                          --> ids --> the supervisor's commands (server.endings)

:mod:`server.cli.command` puts the functions here into the command line. Both work while all workers
hang.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from server.cli import asking, repeating
from server.cli.asking import ANSWER_SECONDS, Conversation
from server.cli.choosing import chosen, refuse_unknown
from server.cli.operation import AsJson, Name, RunDir, show
from server.errors import ExitStatus, ServerError
from shm.filters import Condition, Filter, FilterError, parse

TIMEOUT: Final = 5.0
"""Seconds that workers have."""
BATCH: Final = 2000
"""Sessions of one command; its line may have 64 KiB."""

LEAST: Final = 0.001


def _id(text: str) -> int:
    try:
        (condition,) = parse({"id": text}).conditions
    except FilterError as error:
        raise ServerError(
            f"ID: got {text!r}, expected {error.expected}", exit_code=ExitStatus.SETTINGS
        ) from None
    return int(condition.values[0])


Ids = Annotated[
    list[int] | None,
    typer.Argument(
        metavar="[ID]...", help="Sessions by their ids.", parser=_id, show_default=False
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        parser=repeating.seconds(LEAST, "--timeout"),
        help="How long their workers may take for it.",
    ),
]


@chosen(pages=True)
def kill(
    wanted: Filter,
    ids: Ids = None,
    timeout: Timeout = TIMEOUT,
    run_dir: RunDir = None,
    name: Name = None,
    as_json: AsJson = False,
) -> int:
    """End sessions, by id or by options, which must all hold. Exit code 1: there was none."""
    count = _have_done("kill", "killed", _meant(wanted, ids), asking.folder(run_dir, name), timeout)
    return _say("killed", f"ended {_sessions(count)}", count, as_json=as_json)


@chosen(pages=True)
def cancel(
    wanted: Filter,
    ids: Ids = None,
    timeout: Timeout = TIMEOUT,
    run_dir: RunDir = None,
    name: Name = None,
    as_json: AsJson = False,
) -> int:
    """Cancel what runs for sessions, which stay. Exit code 1: there was no session."""
    place = asking.folder(run_dir, name)
    count = _have_done("cancel", "cancelled", _meant(wanted, ids), place, timeout)
    text = f"cancelled the requests of {_sessions(count)}"
    return _say("cancelled", text, count, as_json=as_json)


def _meant(wanted: Filter, ids: list[int] | None) -> Filter:
    """The filter with ids that were given beside it; ServerError when it means everybody."""
    conditions = wanted.conditions
    if ids:
        conditions += (Condition("id", tuple(ids)),)
    if not conditions:
        raise ServerError(
            "got nothing that tells some sessions from others, expected ids, or options such as "
            "--user or --idle-gt",
            exit_code=ExitStatus.SETTINGS,
        )
    return replace(wanted, conditions=conditions)


def _have_done(command: str, key: str, wanted: Filter, place: Path, timeout: float) -> int:
    """Have the supervisor do it to all sessions that are meant; how many there were."""
    with Conversation(place) as server:
        ids = _ids(wanted, place)
        count = 0
        for first in range(0, len(ids), BATCH):
            arguments = {"ids": ids[first : first + BATCH], "timeout": timeout}
            answer = server.ask(command, arguments, patience=timeout + ANSWER_SECONDS)
            count += int(answer[key])
        return count


def _ids(wanted: Filter, place: Path) -> list[int]:
    only, *others = wanted.conditions
    plain = wanted.limit is None and wanted.after is None
    if plain and not others and only.key == "id" and not only.negated:
        return list(dict.fromkeys(only.values))
    from server.cli.sessions import known
    from server.onlooker import Onlooker

    with Onlooker(place) as seen:
        refuse_unknown(wanted, known(seen))
        return [row.id for row in seen.census().sessions(wanted)]


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


def _say(key: str, text: str, count: int, *, as_json: bool) -> int:
    if as_json:
        show({key: count})
    else:
        print(text, file=sys.stdout if count else sys.stderr)
    return ExitStatus.OK if count else ExitStatus.FAILED
