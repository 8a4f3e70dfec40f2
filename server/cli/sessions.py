"""``beespace sessions``: the sessions of a server, read from its table.

The server is asked nothing, so the command works while it hangs. :mod:`server.cli.command` puts it
into the command line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli import asking, repeating
from server.cli.choosing import chosen, refuse_unknown
from server.cli.operation import AsJson, Name, RunDir, show
from shm.filters import Filter

if TYPE_CHECKING:
    from server.onlooker import Onlooker
    from shm.census import SessionRow

Watch = Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")]


@chosen(pages=True)
def sessions(
    wanted: Filter,
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
    with Onlooker(asking.folder(run_dir, name)) as server:
        refuse_unknown(wanted, known(server))
        if watch:
            repeating.again(lambda: _frame(server, wanted, as_json=as_json), interval)
        rows, total = _read(server, wanted)
    if as_json:
        show(told(rows, total))
    else:
        repeating.once(_lines(rows, total))


def known(server: Onlooker) -> dict[str, Sequence[str]]:
    """What a filter may name: users, when the catalog can be read, and listeners."""
    from shm.census import listener_names

    return {
        "user": list(server.users().values()),
        "listener": [name for name in listener_names(server.segment).values() if name],
    }


def told(rows: Sequence[SessionRow], total: int) -> dict[str, Any]:
    """The sessions for JSON."""
    return {"count": total, "sessions": [_plain(row) for row in rows]}


def _plain(row: SessionRow) -> dict[str, Any]:
    return {**row._asdict(), "age": round(row.age, 3), "idle": round(row.idle, 3)}


def _frame(server: Onlooker, wanted: Filter, *, as_json: bool) -> Sequence[str]:
    server.check()
    rows, total = _read(server, wanted)
    if as_json:
        return [json.dumps(told(rows, total), ensure_ascii=False)]
    return _lines(rows, total)


def _lines(rows: Sequence[SessionRow], total: int) -> list[str]:
    from server.cli import listing

    return list(listing.lines(rows, total))


def _read(server: Onlooker, wanted: Filter) -> tuple[Sequence[SessionRow], int]:
    """The sessions that are meant, and how many there are on all pages."""
    census = server.census()
    rows = census.sessions(wanted)
    if wanted.limit is None and wanted.after is None:
        return rows, len(rows)
    return rows, max(census.count(replace(wanted, after=None)), len(rows))
