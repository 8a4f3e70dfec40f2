"""Visits of several clients, who see what the others do: whichever workers they are on.

As in :mod:`tests.soak.visits`, each function is a visit and checks every answer. An answer depends
on the workers of all who meet, so each record names the others'.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Final

from tests.helpers.raw import CALL
from tests.soak.guest import EVENT, PATIENCE, Guest
from tests.soak.visits import PASSWORD, Visit

WATCH: Final = 74
FLOOD: Final = 4 << 20
"""Bytes of answers that no client reads: more than session.output_limit and the sockets hold."""
LETTERS: Final = 20
ACCEPTOR_AWAY: Final = "too many new sessions at a time"
"""What box.session.new raises when nobody takes its descriptor: the acceptor is dead or stopped."""


def _meet(visit: Visit, count: int) -> list[Guest]:
    """So many clients, each of whom depends on the others' workers."""
    guests = []
    for _ in range(count):
        guests.append(visit.host.guest())
        # At once: who does not ask is sent away.
        guests[-1].settle()
    for guest in guests:
        guest.record.also = [other.record.pid for other in guests if other is not guest]
    return guests


def deaf(visit: Visit) -> None:
    """Ask for more than session.output_limit lets wait, and do not read: the server ends it."""
    guest, other = _meet(visit, 2)
    guest.send(CALL, {0x22: "flood", 0x21: [FLOOD]})
    end = time.monotonic() + PATIENCE
    while other.call("box.session.exists", guest.record.session) == [1]:
        other.expect(time.monotonic() < end, "a client that does not read is still there")
        visit.over.wait(0.02)
    # It was answered, to a connection that was closed.
    guest.record.answered += 1


def letters(visit: Visit) -> None:
    """Three sessions write to each other; what was taken on arrives, once and in order."""
    guests, dice = _meet(visit, 3), visit.dice
    for number in range(dice.randrange(1, LETTERS)):
        sender, receiver = dice.sample(guests, 2)
        _write(sender, receiver, [f"{visit.place} {number} {k}" for k in range(dice.randrange(4))])
        if visit.over.is_set():
            break


def _write(sender: Guest, receiver: Guest, texts: list[str]) -> None:
    for text in texts:
        told = sender.call("send", receiver.record.session, text)
        sender.expect(told == [""], f"a letter to {receiver.record.session}: {told}")
    got: list[str] = []
    while len(got) < len(texts):
        more = receiver.call("box.session.receive", 5)[0]
        receiver.expect(bool(more), f"a letter of {sender.record.session} did not come")
        got += more
    receiver.expect(got == texts, f"letters {got}, not {texts}")


def watcher(visit: Visit) -> None:
    """One watches a key, another one sets it."""
    key = f"soak.{visit.place}"
    one, other = _meet(visit, 2)
    for _ in range(visit.dice.randrange(1, 5)):
        value = time.monotonic_ns()
        other.eval("box.broadcast(...)", key, value)
        one.send(WATCH, {0x57: key})
        one.record.answered += 1
        with one.at("waiting for an event"):
            event = one.raw.packet()
        one.expect(event.type == EVENT, f"packet of type {event.type}")
        one.expect(event.body.get(0x58) == value, "the newest value")


def killed(visit: Visit) -> None:
    """One ends the session of another one, who waits or not."""
    boss, victim = _meet(visit, 2)
    mine = victim.record.session
    if visit.dice.random() < 0.5:
        _wait_for(boss, victim)
        # It ends with an error that nobody reads.
        victim.record.answered += 1
        victim.record.refused += 1
    boss.expect(boss.call("box.session.kill", mine) == [1], "one session killed")
    victim.await_end("a kill")


def cancelled(visit: Visit) -> None:
    """One has the request of another one end, who stays."""
    boss, victim = _meet(visit, 2)
    sync = _wait_for(boss, victim)
    told = boss.call("box.session.cancel", victim.record.session)
    boss.expect(told == [1], "one session whose requests end")
    answer = victim.answer(sync, CALL)
    victim.expect(answer.text == "fiber is cancelled", f"a request that ends: {answer.body}")
    victim.ping()


def _wait_for(boss: Guest, victim: Guest) -> int:
    """Sync of a request that waits for long, once it does."""
    sync = victim.send(CALL, {0x22: "pause", 0x21: [PATIENCE]})
    end = time.monotonic() + PATIENCE / 2
    in_flight = 0
    while in_flight == 0:
        boss.expect(time.monotonic() < end, "a request that waits")
        told = boss.call("box.session.info", victim.record.session)[0]
        boss.expect(told is not None, "a session that is there")
        in_flight = told["in_flight"]
    return sync


def user(visit: Visit) -> None:
    """A user is made, logs in elsewhere, and is sent away with another password."""
    boss, employee = _meet(visit, 2)
    name, schema = f"user-{visit.place}", "box.schema.user"
    boss.call(f"{schema}.create", name, {"if_not_exists": True})
    boss.call(f"{schema}.passwd", name, PASSWORD)
    boss.call(f"{schema}.grant", name, "execute", "universe", None, {"if_not_exists": True})
    employee.log_in(name, PASSWORD)
    employee.expect(employee.call("box.session.user") == [name], "the user")
    if visit.dice.random() < 0.5:
        boss.call(f"{schema}.passwd", name, "another one")
    else:
        boss.call(f"{schema}.drop", name)
    employee.await_end("another password")
    boss.call(f"{schema}.drop", name, {"if_exists": True})


def rule(visit: Visit) -> None:
    """One sets a trigger, the others have it."""
    guests, dice = _meet(visit, 3), visit.dice
    event, value = f"soak.{visit.place}", dice.randrange(1 << 30)
    guests[0].eval(
        "local event, value = ... "
        "require('trigger').set(event, 'rule', function(t) t.seen = value end)",
        event,
        value,
    )
    for guest in guests:
        seen = guest.eval("local t = {} require('trigger').call(..., t) return t.seen", event)
        guest.expect(seen == [value], f"a trigger: {seen}")
    guests[0].eval("require('trigger').del(..., 'rule')", event)
    seen = guests[1].eval("local t = {} require('trigger').call(..., t) return t.seen", event)
    guests[1].expect(seen == [None], "no trigger any more")


def called(visit: Visit) -> None:
    """The server connects to a client, which has a session then."""
    (caller,) = _meet(visit, 1)
    name = f"beespace-soak-{os.getpid()}-{visit.place}"
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind("\0" + name)
        ear.listen()
        ear.settimeout(PATIENCE)
        (told,) = caller.call("dial", name)
        guest = visit.host.called(ear)
        if told:
            # Its end of the connection is closed.
            caller.expect(not visit.calm and told.endswith(ACCEPTOR_AWAY), f"a call: {told}")
            guest.await_end("a connection without session")
            return
    guest.be_greeted()
    guest.settle()
    caller.expect(guest.record.pid == caller.record.pid, "the worker that has called")
    guest.expect(guest.call("echo", name) == [name], "echo")
