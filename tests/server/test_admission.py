"""Settings as the acceptor is told them: plain values there and back."""

from __future__ import annotations

import msgpack

from server import reload
from server.admission import KEYS, LOOPBACK, Admission
from server.settings import Settings


def test_the_defaults_are_those_of_the_settings() -> None:
    values = msgpack.unpackb(msgpack.packb(reload.live(Settings())))
    assert set(KEYS) <= set(values)
    made = Admission().changed(values)
    assert made == Admission(keepalive_idle=60, proxy_trusted=list(LOOPBACK))


def test_keys_of_others_change_nothing() -> None:
    before = Admission()
    assert before.changed({"session.idle_timeout": 5, "log.level": "info"}) == before


def test_one_key_changes_one_thing() -> None:
    made = Admission(accept_rate=7).changed({"session.limits.per_address": 3})
    assert (made.per_address, made.accept_rate) == (3, 7)


def test_networks() -> None:
    found = [str(one) for one in Admission(proxy_trusted=["10.0.0.0/8", "::1"]).networks()]
    assert found == ["10.0.0.0/8", "::1/128"]
