"""What there is to be had over HTTP, and the answer to a request.

    /metrics, /metrics/prometheus   server.metrics.exposition
    /livez, /readyz                 server.metrics.health: 200 or 503, with JSON
    /healthz                        the same as /readyz

GET and HEAD only; what follows a question mark does not count. :mod:`server.metrics.site` speaks
HTTP, :mod:`server.metrics.process` puts both together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from server.metrics.exposition import Exposition
from server.metrics.health import Verdict

METHODS: Final = ("GET", "HEAD")
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
_SCHEME: Final = "http://"


@dataclass(frozen=True)
class Page:
    """An answer; ``headers`` come on top of those that all answers have."""

    status: HTTPStatus
    kind: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Pages:
    """All pages of one server."""

    def __init__(
        self,
        exposition: Exposition,
        live: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        log: Any,
    ) -> None:
        self._log = log
        self._pages: dict[str, Callable[[str], Page]] = {
            "/metrics": lambda accept: _metrics(exposition, accept),
            "/metrics/prometheus": lambda accept: _metrics(exposition, accept),
            "/livez": lambda _: _health(live()),
            "/readyz": lambda _: _health(ready()),
            "/healthz": lambda _: _health(ready()),
        }

    def answer(self, method: str, target: str, accept: str) -> Page:
        """The page for a request; ``target`` and ``accept`` as they came."""
        page = self._pages.get(_path(target))
        if page is None:
            return told(HTTPStatus.NOT_FOUND, f"expected one of {', '.join(self._pages)}")
        if method not in METHODS:
            headers = {"Allow": ", ".join(METHODS)}
            return told(HTTPStatus.METHOD_NOT_ALLOWED, "expected GET or HEAD", headers)
        try:
            return page(accept)
        except Exception as error:  # noqa: BLE001  all other pages would go with it
            self._log.error("a page failed", page=target, error=repr(error))
            return told(HTTPStatus.INTERNAL_SERVER_ERROR, "see the log of the server")


def _path(target: str) -> str:
    """The path of a target, which may be a whole URI."""
    path = target.partition("?")[0]
    if path.lower().startswith(_SCHEME):
        _, slash, rest = path[len(_SCHEME) :].partition("/")
        path = slash + rest
    return path


def told(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> Page:
    """A page with a line for a person."""
    return Page(status, TEXT, f"{status.phrase}: {text}\n".encode(), headers or {})


def _metrics(exposition: Exposition, accept: str) -> Page:
    kind, text = exposition.text(accept)
    return Page(HTTPStatus.OK, kind, text, {"Vary": "Accept"})


def _health(verdict: Verdict) -> Page:
    status = HTTPStatus.OK if verdict.passed else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(status, JSON, json.dumps(verdict.details).encode() + b"\n")
