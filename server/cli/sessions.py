"""``beespace sessions``: the sessions of a server, read from its table.

The server is asked nothing, so the command works while it hangs. :mod:`server.cli.command` puts it
into the command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from server.cli import asking, repeating
from server.cli.choosing import chosen, refuse_unknown
from server.cli.operation import AsJson, Name, RunDir
from shm.filters import Filter

if TYPE_CHECKING:
    from server.onlooker import Onlooker
    from shm.census import SessionRow
    from shm.history import EndedRow

_SPANS: Final = ("age", "idle")

Watch = Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")]


@chosen(pages=True)
def sessions(
    wanted: Filter,
    history: Annotated[
        bool, typer.Option("--history", help="Those that have ended, the last one first.")
    ] = False,
    watch: Watch = False,
    interval: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", parser=repeating.seconds(0.1), help="How often, with --watch."
        ),
    ] = 2.0,
    run_dir: RunDir = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Show the sessions of a running server, whatever it is doing.

    Options that choose sessions must all hold. Several of one kind mean any of them, and
    --not-user, --not-peer and so on mean all others.
    """
    from server.onlooker import Onlooker

    repeating.end_with_reader()
    read = _ended if history else _there
    with Onlooker(asking.folder(run_dir, name)) as server:
        refuse_unknown(wanted, known(server))
        if watch:
            repeating.again(lambda: _frame(read(server, wanted), as_json=as_json), interval)
        seen = read(server, wanted)
    repeating.once(_json_lines(seen.plain) if as_json else seen.lines)


class Seen(NamedTuple):
    """Some sessions, for a person and for JSON."""

    lines: Sequence[str]
    plain: dict[str, Any]


def known(server: Onlooker) -> dict[str, Sequence[str]]:
    """What a filter may name: users, when the catalog can be read, and listeners."""
    from shm.census import listener_names

    return {
        "user": list(server.users().values()),
        "listener": [name for name in listener_names(server.segment).values() if name],
    }


def _json_lines(plain: Mapping[str, Any]) -> Iterator[str]:
    """JSON with a session a line: there may be very many."""
    yield f'{{"count": {plain["count"]}, "sessions": ['
    rows = plain["sessions"]
    for index, row in enumerate(rows, 1):
        yield f"{json.dumps(row, ensure_ascii=False)}{',' if index < len(rows) else ''}"
    yield "]}"


def _frame(seen: Seen, *, as_json: bool) -> Sequence[str]:
    return [json.dumps(seen.plain, ensure_ascii=False)] if as_json else seen.lines


def _there(server: Onlooker, wanted: Filter) -> Seen:
    """Sessions that exist, and how many there are on all pages."""
    from server.cli import listing

    server.check()
    census = server.census()
    rows = census.sessions(wanted)
    total = len(rows)
    if wanted.limit is not None or wanted.after is not None:
        total = max(census.count(replace(wanted, after=None)), total)
    return Seen(list(listing.lines(rows, total)), _plain(rows, total))


def _ended(server: Onlooker, wanted: Filter) -> Seen:
    """Sessions that have ended, as far back as the server remembers."""
    from server.cli import listing
    from shm.history import ended

    server.check()
    rows = ended(server.segment, server.users(), replace(wanted, limit=None))
    shown = rows[: wanted.limit]
    return Seen(list(listing.ended_lines(shown, len(rows))), _plain(shown, len(rows)))


def _plain(rows: Sequence[SessionRow | EndedRow], total: int) -> dict[str, Any]:
    return {"count": total, "sessions": [_rounded(row._asdict()) for row in rows]}


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(row[key], 3) if key in _SPANS else row[key] for key in row}
