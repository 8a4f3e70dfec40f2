"""The bench of metrics: figures of a real server with few sessions, tables, wrong answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import report, scrape
from bench.address import Address
from bench.rounds import Plan
from bench.scrape import KINDS, ScrapeFigure, Site, WorkersFigure
from bench.session import Endpoint
from bench.targets import TargetError
from tests.bench import stub
from tests.helpers.wait import wait_until


@pytest.fixture(scope="module")
def real() -> Iterator[Site]:
    with scrape.filled(50, lambda _: None) as made:
        yield made


def test_scrapes(real: Site) -> None:
    lines: list[str] = []
    found = scrape.scrapes(real, 2, lines.append)
    assert [figure.kind for figure in found] == list(KINDS)
    assert lines[:2] == ["Prometheus  1/2", "Prometheus  2/2"]
    for figure in found:
        assert figure.size > 10_000
        assert 0 < figure.middle <= figure.slowest
        assert 0 < figure.cpu < figure.slowest


def test_what_workers_notice(real: Site) -> None:
    def asked() -> WorkersFigure | None:
        found = scrape.workers(real, Plan(2, 0.3))
        return found if found.scrapes >= 2 else None

    figure = wait_until(asked, 20, "texts made in both rounds")
    assert figure is not None
    assert figure.quiet >= 0
    assert figure.asked >= 0


def test_a_server_without_metrics() -> None:
    with stub.serve(lambda body, _: body) as endpoint:
        with pytest.raises(TargetError, match="'stub': it has no process 'metrics'"):
            scrape.scrapes(Site(endpoint, 1), 1, lambda _: None)
        with pytest.raises(TargetError, match="it has no process 'worker'"):
            scrape.workers(Site(endpoint, 1), Plan(1, 0.1))


class Answer(BaseHTTPRequestHandler):
    """No metrics."""

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_an_answer_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Site, "processes", lambda *_: [1])
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        site = Site(Endpoint("none", Address()), server.server_port)
        with pytest.raises(TargetError, match="metrics: got status 503, expected metrics"):
            scrape.scrapes(site, 1, lambda _: None)
        server.shutdown()
        thread.join()
    with stub.nobody() as gone:
        site = Site(gone, gone.address.port)
        with pytest.raises(TargetError, match=r"metrics of target 'nobody': .*refused"):
            scrape.scrapes(site, 1, lambda _: None)


def test_tables() -> None:
    figures = [
        ScrapeFigure("Prometheus", 20, 31_000, 0.05, 0.0912, 0.0155),
        ScrapeFigure("OpenMetrics", 20, 30_000, 0.1001, 0.3, 0.02),
    ]
    assert report.scrapes(figures, 60_000).rows == (
        ("Prometheus", "20", "30", "50.0", "91.2", "15.5", "met"),
        ("OpenMetrics", "20", "29", "100.1", "300.0", "20.0", "NOT MET"),
    )
    assert report.scraped_workers(WorkersFigure(1.25, 1.3, 14)).rows == (
        ("nobody", "1.2 %"),
        ("one client, 14 texts made", "1.3 %"),
    )
