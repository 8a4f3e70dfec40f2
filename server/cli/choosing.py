"""Options that say which sessions are meant, for every command that takes a filter.

    --user ada --not-peer 10.0.0.0/8 --idle-gt 60  --chosen()-->  command(wanted=Filter, ...)

All values reach :mod:`shm.filters` as text, so that mistakes read alike everywhere. What a filter
names and a server does not have is looked up by :func:`refuse_unknown`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final

import typer

from server.errors import ExitStatus, ServerError
from shm import filters
from shm.filters import NEGATION, Filter, FilterError

Command = Callable[..., Any]

_ABOUT: Final = {
    "id": ("ID", "Sessions by their ids."),
    "user": ("USER", "Sessions of a user."),
    "uid": ("N", "Sessions of a user, by number; one that was dropped, too."),
    "peer": ("ADDRESS", "address:port, address, network such as 10.0.0.0/8, or unix/:path."),
    "type": ("TYPE", "binary or console."),
    "worker": ("N", "Sessions that a worker has."),
    "listener": ("URI", "Sessions that came through a listener; new: box.session.new."),
    "name": ("NAME", "Sessions that have called themselves so."),
    "state": ("STATE", "claimed, live or closing."),
    "age_gt": ("SECONDS", "Sessions that are older."),
    "idle_gt": ("SECONDS", "Sessions from which nothing has come for longer."),
    "in_flight_gt": ("N", "Sessions with more requests that wait for something."),
    "reason": ("REASON", "With --history: why they have ended."),
}
_PAGES: Final = {
    "order": ("FIELD", "What to order by; '-' in front turns it round. Default: id."),
    "limit": ("N", "At most so many."),
    "after": ("ID", "Only those behind that id: the next page."),
}
_HISTORY: Final = "history"
_FLAGS: Final = {"order": "sort", "name": "session-name"}
"""Those that are not called like their key; ``--name`` is the server's."""


def chosen(*, pages: bool) -> Callable[[Command], Command]:
    """Give a command the options of a filter; it gets what was said as ``wanted``.

    With ``pages`` also those for order and number. Each condition has a negation, ``--not-...``. A
    command with a parameter ``history`` is asked about sessions that have ended when it is true.
    """

    def wrap(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> Any:
            said = {key: given.pop(parameter.name) for key, parameter in options.items()}
            return command(wanted=_read(said, ended=given.get(_HISTORY, False)), **given)

        own = inspect.signature(command, eval_str=True).parameters.values()
        ended = any(each.name == _HISTORY for each in own)
        options = _options(filters.CONDITIONS if ended else filters.SESSIONS.conditions, pages)
        # What typer reads.
        rest = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for each in own
            if each.name != "wanted"
        ]
        everything = [*options.values(), *rest]
        vars(run).update(__signature__=inspect.Signature(everything))
        run.__annotations__ = {each.name: each.annotation for each in everything}
        return run

    return wrap


def refuse_unknown(wanted: Filter, known: Mapping[str, Collection[str]]) -> None:
    """ServerError when a filter names something that is not there.

    ``known`` are the values of some keys; a key without any is not looked at. An empty text is
    what a session has that has none: it is never unknown.
    """
    for condition in wanted.conditions:
        there = known.get(condition.key)
        for value in condition.values if there else ():
            if value and value not in (there or ()):
                key = f"{NEGATION if condition.negated else ''}{condition.key}"
                raise _refused(FilterError(key, value, f"one of {', '.join(sorted(there or ()))}"))


def flag(key: str) -> str:
    """The option that stands for a key of a filter."""
    plain = key.removeprefix(NEGATION)
    negation = key.removesuffix(plain)
    return "--" + (negation + _FLAGS.get(plain, plain)).replace("_", "-")


def _read(said: Mapping[str, Any], *, ended: bool) -> Filter:
    given = {key: value for key, value in said.items() if value not in (None, [])}
    kind = filters.ENDED if ended else filters.SESSIONS
    taken = {*kind.conditions, "order", "limit", *(("after",) if kind.pages else ())}
    for key, value in given.items():
        if key.removeprefix(NEGATION) not in taken:
            shown = value[0] if isinstance(value, list) else value
            raise _refused(FilterError(key, shown, f"{'no ' if ended else ''}--history beside it"))
    try:
        return filters.parse(given, kind)
    except FilterError as error:
        raise _refused(error) from None


def _refused(error: FilterError) -> ServerError:
    return ServerError(
        f"{flag(error.key)}: got {error.given!r}, expected {error.expected}",
        exit_code=ExitStatus.SETTINGS,
    )


def _options(conditions: Collection[str], pages: bool) -> dict[str, inspect.Parameter]:
    """The parameters by the keys of a filter."""
    made = {}
    for plain in conditions:
        metavar, about = _ABOUT[plain]
        for key in (plain, NEGATION + plain):
            kind = list[str] | None if plain in filters.LISTS else str | None
            made[key] = _parameter(key, kind, metavar, about, hidden=key != plain)
    for key, (metavar, about) in _PAGES.items() if pages else ():
        made[key] = _parameter(key, str | None, metavar, about)
    return made


def _parameter(
    key: str, kind: Any, metavar: str, about: str, *, hidden: bool = False
) -> inspect.Parameter:
    option = typer.Option(flag(key), metavar=metavar, help=about, hidden=hidden, show_default=False)
    return inspect.Parameter(
        f"filter_{key}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, option],
    )
