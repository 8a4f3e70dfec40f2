"""Descriptors in reserve: there when it is needed, and back afterwards."""

from __future__ import annotations

import os

import pytest

from server.spare import Spare


def count() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_lent_and_back() -> None:
    before = count()
    spare = Spare()
    assert count() == before + 1
    with spare.lent():
        assert count() == before
    assert count() == before + 1
    spare.close()
    spare.close()
    assert count() == before


def test_several() -> None:
    before = count()
    spare = Spare(3)
    assert count() == before + 3
    with spare.lent():
        taken = [os.dup(0)]
        assert count() == before + 1
    assert count() == before + 4
    os.close(taken.pop())
    spare.close()
    assert count() == before


def test_what_cannot_be_had_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spare = Spare()

    def refuse(*_: object) -> int:
        raise OSError

    with monkeypatch.context() as patched, spare.lent():
        patched.setattr(os, "open", refuse)
    assert spare.refill()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with spare.lent():
            pass
        assert not spare.refill()
    assert spare.refill()
    spare.close()
