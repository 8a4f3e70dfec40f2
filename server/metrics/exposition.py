"""The text of all metrics, in the form that is asked for, made as often as it may cost.

    Accept: application/openmetrics-text   OpenMetrics 1.0.0
    anything else                          Prometheus' text format 0.0.4

Whoever asks sooner than the making of the last text allows gets that one once more: making takes at
most a tenth of one core, so the workers do not feel how often, or by how many, metrics are asked
for. With 60,000 sessions that is every fifth of a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import exposition as plain
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

SHARE: Final = 10
"""Seconds that pass for each second of CPU."""

OPENMETRICS_TYPE: Final = "application/openmetrics-text"
_VERSIONS: Final = frozenset({"", "0.0.1", "1.0.0"})
"""Of OpenMetrics, as clients write it, that are served by 1.0.0."""
_PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS: Final = f"{OPENMETRICS_TYPE}; version=1.0.0; charset=utf-8"

Collect = Callable[[], Iterable[Metric]]


class Exposition:
    """Metrics as text; ``collect`` gives the families as they are now."""

    def __init__(
        self,
        collect: Collect,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._collect = collect
        self._clock = clock
        self._cpu = cpu
        self._families: list[Metric] = []
        self._texts: dict[str, bytes] = {}
        self._until = 0.0

    def text(self, accept: str) -> tuple[str, bytes]:
        """Content type and text for a request's Accept."""
        kind = negotiated(accept)
        began = self._cpu()
        if self._clock() >= self._until:
            self._texts.clear()
            self._families = list(self._collect())
        elif kind in self._texts:
            return kind, self._texts[kind]
        write = openmetrics.generate_latest if kind == _OPENMETRICS else plain.generate_latest
        self._texts[kind] = write(_Collected(self._families))
        self._until = max(self._until, self._clock()) + (self._cpu() - began) * SHARE
        return kind, self._texts[kind]


class _Collected:
    """Families as prometheus_client takes them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def negotiated(accept: str) -> str:
    """The content type for an Accept header: the one that is liked more, and can be served."""
    liked = {_PLAIN: 0.0, _OPENMETRICS: 0.0}
    for part in accept.split(","):
        kind, _, rest = part.partition(";")
        parameters = dict(_parameter(each) for each in rest.split(";"))
        quality = _quality(parameters.get("q", "1"))
        name = kind.strip().lower()
        if name == OPENMETRICS_TYPE and parameters.get("version", "") in _VERSIONS:
            liked[_OPENMETRICS] = max(liked[_OPENMETRICS], quality)
        elif name in ("text/plain", "text/*", "*/*"):
            liked[_PLAIN] = max(liked[_PLAIN], quality)
    better = liked[_OPENMETRICS] and liked[_OPENMETRICS] >= liked[_PLAIN]
    return _OPENMETRICS if better else _PLAIN


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _quality(text: str) -> float:
    """What a q parameter says; nothing that can be read is the most."""
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 1.0
