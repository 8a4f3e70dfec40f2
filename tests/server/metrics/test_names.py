"""Names of metrics: the same in both texts, Tarantool's among them, and as promtool wants them."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Final

import pytest

from server.metrics.exposition import OPENMETRICS_TYPE
from tests.server.metrics.hive import Hive

THREADED: Final = (
    "sent_total",
    "received_total",
    "connections_total",
    "connections_current",
    "requests_total",
    "requests_current",
    "requests_in_progress_total",
    "requests_in_progress_current",
    "requests_in_stream_queue_total",
    "requests_in_stream_queue_current",
)
TARANTOOL: Final = {
    *(f"tnt_net_{name}" for name in THREADED),
    *(f"tnt_net_per_thread_{name}" for name in THREADED),
    *(f"tnt_info_memory_{kind}" for kind in ("lua", "net", "tx", "cache", "data", "index")),
    "tnt_info_uptime",
    "tnt_stats_op_total",
    "tnt_memory",
    "tnt_memory_virt",
    "tnt_runtime_lua",
    "tnt_runtime_used",
    "tnt_cpu_user_time",
    "tnt_cpu_system_time",
    "tnt_cpu_number",
    "tnt_cpu_time",
    "tnt_cpu_thread",
    "tnt_fiber_amount",
    "tnt_ev_loop_time",
    "tnt_cfg_current_time",
    "tnt_read_only",
    "tnt_config_status",
    "tnt_config_alerts",
}
"""What Tarantool's dashboards ask for, as far as there is an answer."""


def test_both_texts_have_the_same_metrics(hive: Hive) -> None:
    hive.claim()
    in_plain, in_open = hive.samples(), hive.samples(OPENMETRICS_TYPE)
    assert set(in_plain) == set(in_open)
    moving = {"tnt_cfg_current_time", "tnt_cpu_time", "tnt_info_uptime"}
    counted = {key for key, value in in_plain.items() if value == in_open[key]}
    assert {name for name, _ in set(in_plain) - counted} <= {
        *moving,
        *(name for name, _ in in_plain if "cpu" in name or "memory" in name or "switch" in name),
    }


def test_every_sample_tells_the_instance(hive: Hive) -> None:
    assert {dict(labels)["alias"] for _, labels in hive.samples()} == {"hive"}


def test_names_of_tarantool(hive: Hive) -> None:
    names = {name for name, _ in hive.samples()}
    ours = {name for name in names if name.startswith("beespace_")}
    assert TARANTOOL - names == set()
    assert names - ours - TARANTOOL == {"lj_gc_memory"}
    assert len(ours) > 50


UNITS: Final = {
    *("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "m", "h", "d"),
    *("milliseconds", "microseconds", "minutes", "hours", "days", "kilobytes", "megabytes"),
    *("gauge", "counter", "summary", "histogram"),
}
"""No part of a name, says promtool."""


def test_names_are_as_promtool_wants_them(hive: Hive) -> None:
    families = list(hive.families())
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name), family.name
        assert not set(family.name.split("_")) & UNITS, family.name
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_info")) or (
            family.name == "beespace_build_info"
        ), family.name
        assert re.fullmatch(r"[A-Z/\d].*\.", family.documentation), family.name
        names = {sample.name for sample in family.samples}
        assert names <= {family.name + "_total" if family.type == "counter" else family.name}
        labels = {frozenset(sample.labels) for sample in family.samples}
        assert len(labels) <= 1, family.name
        assert not {label for each in labels for label in each} & {"le", "quantile", "job"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_promtool_finds_nothing(hive: Hive) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=hive.text(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
