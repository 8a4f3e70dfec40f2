"""What a person sees of sessions, letter by letter."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from server.cli import listing
from shm.census import SessionRow
from shm.history import EndedRow

FIRST = SessionRow(
    id=7,
    type="binary",
    user="guest",
    uid=0,
    peer="127.0.0.1:33520",
    listener="127.0.0.1:3301",
    worker=0,
    state="live",
    connected=1_795_000_000.5,
    age=93784.2,
    idle=0.34,
    requests=12345,
    in_flight=0,
    bytes_in=1500,
    bytes_out=3 << 20,
    pending_out=0,
    inbox_bytes=0,
    name=None,
    attrs={},
    reason=None,
)
SECOND = FIRST._replace(id=8, user="ada", uid=32, peer="[::1]:9", worker=11, age=2.0, requests=1)
PLAIN = """\
id  type    user   peer             worker  state      age   idle  \
requests  in flight       in      out
 7  binary  guest  127.0.0.1:33520       0  live   1 d 2 h  0.3 s  \
   12345          0  1.5 KiB  3.0 MiB
 8  binary  ada    [::1]:9              11  live     2.0 s  0.3 s  \
       1          0  1.5 KiB  3.0 MiB

2 sessions
"""
STRANGE = FIRST._replace(
    type="console",
    user=None,
    uid=77,
    peer="unix/:/tmp/\x1b[2J",
    listener="new",
    state="closing",
    in_flight=3,
    pending_out=4096,
    inbox_bytes=10,
    name="till\n2",
    attrs={"shop": "a\x07", "ä": "ö"},
    reason="login_timeout",
)
LAST = FIRST._replace(id=12, peer=None)
EVERYTHING = """\
id  type     user   peer                listener        worker  state        age   idle  \
requests  in flight       in      out   unsent  inbox  name     attributes      reason
 7  console  (77)   unix/:/tmp/\\x1b[2J  new                  0  closing  1 d 2 h  0.3 s  \
   12345          3  1.5 KiB  3.0 MiB  4.0 KiB   10 B  till\\n2  shop=a\\x07 ä=ö  login_timeout
12  binary   guest  -                   127.0.0.1:3301       0  live     1 d 2 h  0.3 s  \
   12345          0  1.5 KiB  3.0 MiB      0 B    0 B  -        -               -

2 of 345 sessions
"""


ENDED = EndedRow(
    id=9,
    type="binary",
    user="ada",
    uid=32,
    peer="127.0.0.1:33520",
    listener="127.0.0.1:3301",
    worker=1,
    connected=1_795_000_000.0,
    ended=1_795_000_100.5,
    age=100.5,
    requests=7,
    bytes_in=100,
    bytes_out=2048,
    name=None,
    attrs={},
    reason="worker_died",
)
HISTORY = """\
id  type    user  peer             worker  ended                reason              age  requests  \
   in      out  name
 9  binary  ada   127.0.0.1:33520       1  2026-11-18 11:08:20  worker_died  1 min 40 s         7  \
100 B  2.0 KiB  -
12  binary  (77)  -                     1  2026-11-18 11:08:20  idle         1 min 40 s         7  \
100 B  2.0 KiB  bee

2 of 9 sessions that have ended
"""


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(*rows: SessionRow, total: int) -> str:
    return "".join(f"{line}\n" for line in listing.lines(rows, total))


def test_what_sessions_usually_have() -> None:
    assert shown(FIRST, SECOND, total=2) == PLAIN


def test_everything_that_a_session_can_have() -> None:
    assert shown(STRANGE, LAST, total=345) == EVERYTHING


def test_none_and_one() -> None:
    assert shown(total=0) == "0 sessions\n"
    assert shown(FIRST, total=1).endswith("\n\n1 session\n")
    assert shown(total=5) == "0 of 5 sessions\n"


def test_sessions_that_have_ended() -> None:
    gone = ENDED._replace(id=12, user=None, uid=77, peer=None, name="bee", reason="idle")
    lines = "".join(f"{line}\n" for line in listing.ended_lines([ENDED, gone], 9))
    assert lines == HISTORY
    assert list(listing.ended_lines([], 0)) == ["0 sessions that have ended"]
    assert list(listing.ended_lines([ENDED], 1))[-1] == "1 session that has ended"
