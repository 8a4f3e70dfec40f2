"""Which page a request gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric

from server.metrics.exposition import Exposition
from server.metrics.families import Families
from server.metrics.health import Verdict
from server.metrics.pages import Pages

METRICS = [
    "/metrics",
    "/metrics/prometheus",
    "/metrics?name[]=x",
    "/metrics?",
    "http://bee.example:9464/metrics?x=/y",
]


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def error(self, text: str, **fields: Any) -> None:
        self.lines.append((text, fields))


def collect() -> Iterator[Metric]:
    yield Families("hive").gauge("bee_weight_grams", "Weight.", 0.1)


def pages(*, live: bool = True, ready: bool = True, log: Any = None) -> Pages:
    return Pages(
        Exposition(collect),
        lambda: Verdict(live, {"verdict": "live", "passed": live}),
        lambda: Verdict(ready, {"verdict": "ready", "passed": ready}),
        log,
    )


@pytest.mark.parametrize("target", METRICS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_metrics(method: str, target: str) -> None:
    page = pages().answer(method, target, "")
    assert page.status == HTTPStatus.OK
    assert page.kind == "text/plain; version=0.0.4; charset=utf-8"
    assert b'bee_weight_grams{alias="hive"} 0.1\n' in page.body
    assert page.headers == {"Vary": "Accept"}
    page = pages().answer(method, target, "application/openmetrics-text")
    assert page.kind.startswith("application/openmetrics-text; version=1.0.0")


@pytest.mark.parametrize(
    ("target", "which"), [("/livez", "live"), ("/readyz", "ready"), ("/healthz", "ready")]
)
@pytest.mark.parametrize("passed", [True, False])
def test_health(target: str, which: str, passed: bool) -> None:
    page = pages(live=which != "live" or passed, ready=which != "ready" or passed).answer(
        "GET", target, ""
    )
    assert page.status == (200 if passed else 503)
    assert page.kind == "application/json"
    assert json.loads(page.body) == {"verdict": which, "passed": passed}


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "",
        "*",
        "/metrics/",
        "/livez/x",
        "http://metrics",
        "ftp://h/metrics",
        "/%6detrics",
        "/é",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_what_is_not_there(method: str, target: str) -> None:
    page = pages().answer(method, target, "")
    assert page.status == HTTPStatus.NOT_FOUND
    assert page.body == (
        b"Not Found: expected one of /metrics, /metrics/prometheus, /livez, /readyz, /healthz\n"
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "X"])
@pytest.mark.parametrize("target", ["/metrics", "/livez", "/readyz"])
def test_what_may_not_be_done(method: str, target: str) -> None:
    page = pages().answer(method, target, "")
    assert page.status == HTTPStatus.METHOD_NOT_ALLOWED
    assert page.headers == {"Allow": "GET, HEAD"}
    assert page.body == b"Method Not Allowed: expected GET or HEAD\n"


def test_a_page_that_fails_is_one_page() -> None:
    def broken() -> Verdict:
        raise KeyError("bee")

    log = Log()
    made = Pages(Exposition(collect), broken, lambda: Verdict(True, {}), log)
    page = made.answer("GET", "/livez", "")
    assert page.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert page.body == b"Internal Server Error: see the log of the server\n"
    assert log.lines == [("a page failed", {"page": "/livez", "error": "KeyError('bee')"})]
    assert made.answer("GET", "/readyz", "").status == HTTPStatus.OK
