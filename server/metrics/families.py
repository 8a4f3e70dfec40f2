"""Metric families with one label that all of their samples have. Pure.

    Families("hive").counter("beespace_requests_total", "...", by_type("type", {"call": 12}))
        --> beespace_requests_total{alias="hive",type="call"} 12

:mod:`server.metrics.own` and :mod:`server.metrics.tarantool` say which families there are;
prometheus_client writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client.metrics_core import Metric

TOTAL: Final = "_total"

Sample = tuple[Mapping[str, str], float]
"""Labels and a value."""


class Families:
    """Makes families; ``alias`` is the label of all samples, as Tarantool's dashboards want it."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def gauge(self, name: str, about: str, samples: float | Iterable[Sample]) -> Metric:
        """What goes up and down."""
        return self._made(Metric(name, about, "gauge"), name, samples)

    def counter(self, name: str, about: str, samples: float | Iterable[Sample]) -> Metric:
        """What only grows; ``name`` ends in ``_total``."""
        family = Metric(name.removesuffix(TOTAL), about, "counter")
        return self._made(family, name, samples)

    def _made(self, family: Metric, name: str, samples: float | Iterable[Sample]) -> Metric:
        if isinstance(samples, (int, float)):
            samples = [({}, samples)]
        for labels, value in samples:
            family.add_sample(name, {**labels, "alias": self._alias}, value)
        return family


def by(label: str, values: Mapping[str, float]) -> list[Sample]:
    """A sample for each value of a label."""
    return [({label: each}, value) for each, value in values.items()]
