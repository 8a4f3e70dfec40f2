"""What settings may have only together with others: addresses that are reached from outside, or
wanted twice, and a log without a file. Pure: sections in, lines of errors out.

:mod:`server.settings` calls :func:`faults` when every single value is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from server import uri
from server.schema import Console, Iproto, Log, Metrics

Origin = Callable[[str], str]
"""Where the value of a key comes from."""


def faults(
    iproto: Iproto, console: Console, metrics: Metrics, log: Log, origin: Origin
) -> dict[str, str]:
    """Lines of errors with their keys."""
    consoles = (console.listen or ()) if console.enabled else ()
    clients = {"iproto.listen": iproto.listen}
    found = (
        next(_of_listeners("console", consoles, console.allow_remote, clients), None),
        next(
            _of_listeners(
                "metrics",
                metrics.listen or (),
                metrics.allow_remote,
                {**clients, "console.listen": consoles},
            ),
            None,
        ),
        _of_log(log),
    )
    return {f"{key}: {text} ({origin(where)})": key for key, text, where in filter(None, found)}


def _of_listeners(
    section: str,
    uris: Sequence[uri.Uri],
    remote: bool,
    taken: Mapping[str, Sequence[uri.Uri]],
) -> Iterator[tuple[str, str, str]]:
    """Key, text, and the key whose origin counts."""
    key = f"{section}.listen"
    for one in uris:
        if isinstance(one, uri.TcpUri) and not (one.is_loopback or remote):
            expected = f"a unix socket or a loopback address, or {section}.allow_remote: true"
            yield key, f"got {str(one)!r}, expected {expected}", key
        for other, theirs in taken.items():
            free = getattr(one, "port", 1) == 0
            if not free and any(uri.same_place(one, each) for each in theirs):
                yield key, f"got {str(one)!r}, expected no URI of {other}", key


def _of_log(log: Log) -> tuple[str, str, str] | None:
    """A log that goes to a file without a name."""
    if log.to != "file" or log.file is not None:
        return None
    text = "got none, expected the path of a file, since log.to is file"
    return "log.file", text, "log.to"
