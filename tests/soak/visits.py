"""What clients come for: each function is one visit, from the connection to its end.

A visit gets a :class:`Visit`: who it meets, its dice, and the event that ends the soak. It checks
every answer. In ``calm`` nobody leaves with a request that is not answered, so that the server's
figures and the clients' have to be the same; otherwise some do.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.helpers.raw import AUTH, CALL, PING, scramble
from tests.soak.guest import EVENT, PATIENCE, GoneError, Guest, Host

WATCH: Final = 74
PASSWORD: Final = "Sesame-0pen"
USERS: Final = ("ann", "bob", "cid")
NO_LOGIN: Final = 47
"""Error of a wrong password."""
FLOOD: Final = 4 << 20
"""Bytes of answers that no client reads: more than session.output_limit and the sockets hold."""
LETTERS: Final = 20
MEMORABLE: Final = 300_000
"""Bytes of each large answer."""


@dataclass(frozen=True)
class Visit:
    """What a visit has."""

    host: Host
    dice: Random
    over: threading.Event
    calm: bool
    place: str
    """A name that no other visit has at the same time."""


def chat(visit: Visit) -> None:
    """A session that works for long: all kinds of requests, one after another, and in heaps."""
    guest, dice = visit.host.guest(), visit.dice
    guest.settle()
    for _ in range(dice.randrange(50, 400)):
        dice.choice(TOPICS)(guest, dice)
        if visit.over.wait(dice.uniform(0, 0.02)):
            break


def brief(visit: Visit) -> None:
    """Connect, ask a little, leave."""
    guest = visit.host.guest()
    guest.settle()
    for number in range(visit.dice.randrange(5)):
        guest.expect(guest.call("echo", number) == [number], "echo")


def abrupt(visit: Visit) -> None:
    """Leave without a word, at any moment."""
    guest, dice = visit.host.stranger(), visit.dice
    moment = dice.randrange(4 if visit.calm else 6)
    if moment > 0:
        guest.be_greeted()
    if moment > 1:
        guest.settle()
    if moment == 3:
        guest.raw.send(b"\xce\x00\x00\x10")
    elif moment == 4:
        for number in range(dice.randrange(1, 50)):
            guest.send(CALL, {0x22: "echo", 0x21: [number]})
    elif moment == 5:
        for _ in range(dice.randrange(1, 20)):
            guest.send(CALL, {0x22: "pause", 0x21: [dice.uniform(0, 0.3)]})
    if dice.random() < 0.7:
        guest.reset()


def silent(visit: Visit) -> None:
    """Say nothing, or half of something, until session.login_timeout ends it."""
    guest = visit.host.guest()
    if visit.dice.random() < 0.5:
        guest.raw.send(b"\xce\x00\x00\x00\x20\x82")
    guest.await_end("silence")


def half_closed(visit: Visit) -> None:
    """End the own direction, and wait for the other one's end."""
    guest = visit.host.guest()
    guest.settle()
    guest.raw.socket.shutdown(socket.SHUT_WR)
    guest.await_end("half closed")


def console(visit: Visit) -> None:
    """Statements at the console."""
    guest, dice = visit.host.operator(), visit.dice
    session, pid = guest.say("box.session.id(), box.info.pid")
    guest.record.session, guest.record.pid = session, pid
    for number in range(dice.randrange(6)):
        guest.expect(guest.say(f"return {number} + 1") == [number + 1], "a sum")
    if dice.random() < 0.3:
        guest.expect(len(guest.say("return ('x'):rep(20000)")[0]) == 20000, "a long text")
    if dice.random() < 0.3:
        guest.reset()


def slow_reader(visit: Visit) -> None:
    """Ask for much and read it slowly, but all of it."""
    guest, dice = visit.host.guest(receive=16384), visit.dice
    guest.settle()
    for _ in range(dice.randrange(1, 4)):
        sync = guest.send(CALL, {0x22: "text", 0x21: [MEMORABLE]})
        visit.over.wait(dice.uniform(0, 0.5))
        answer = guest.answer(sync, CALL)
        guest.expect(len(answer.data[0]) == MEMORABLE, "a long text")


def deaf(visit: Visit) -> None:
    """Ask for more than session.output_limit lets wait, and do not read: the server ends it."""
    guest, other = visit.host.guest(receive=16384), visit.host.guest()
    for each in (guest, other):
        each.settle()
    guest.record.also, other.record.also = [other.record.pid], [guest.record.pid]
    guest.send(CALL, {0x22: "flood", 0x21: [FLOOD]})
    end = time.monotonic() + PATIENCE
    while other.call("box.session.exists", guest.record.session) == [1]:
        other.expect(time.monotonic() < end, "a client that does not read is still there")
        visit.over.wait(0.02)
    # It was answered, to a connection that was closed.
    guest.record.answered += 1


def letters(visit: Visit) -> None:
    """Three sessions write to each other; what was taken on arrives, once and in order."""
    host, dice = visit.host, visit.dice
    guests = [host.guest() for _ in range(3)]
    for guest in guests:
        guest.settle()
    for number in range(dice.randrange(1, LETTERS)):
        sender, receiver = dice.sample(guests, 2)
        _write(sender, receiver, [f"{visit.place} {number} {k}" for k in range(dice.randrange(4))])
        if visit.over.is_set():
            break


def _write(sender: Guest, receiver: Guest, texts: list[str]) -> None:
    receiver.record.also = [sender.record.pid]
    sender.record.also = [receiver.record.pid]
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
    one, other = visit.host.guest(), visit.host.guest()
    for guest in (one, other):
        guest.settle()
    one.record.also, other.record.also = [other.record.pid], [one.record.pid]
    for _ in range(visit.dice.randrange(1, 5)):
        value = time.monotonic_ns()
        other.eval("box.broadcast(...)", key, value)
        one.send(WATCH, {0x57: key})
        one.record.answered += 1
        with one.at("waiting for an event"):
            event = one.raw.packet()
        one.expect(event.type == EVENT, f"packet of type {event.type}")
        one.expect(event.body.get(0x58) == value, "the newest value")


def login(visit: Visit) -> None:
    """Log in as several users, one after another, also with wrong passwords."""
    guest, dice = visit.host.guest(), visit.dice
    guest.settle()
    for _ in range(dice.randrange(1, 5)):
        name, right = dice.choice(USERS), dice.random() < 0.8
        proof = scramble(guest.raw.salt, PASSWORD if right else "Sesam")
        sync = guest.send(AUTH, {0x23: name, 0x21: ["chap-sha1", proof]})
        answer = guest.answer(sync, AUTH)
        guest.expect(answer.code == (0 if right else NO_LOGIN), f"login: error {answer.code}")
        if right:
            guest.expect(guest.call("box.session.user") == [name], "the user")


def _echo(guest: Guest, dice: Random) -> None:
    value = dice.choice([1, "two", [3, {"four": 5}], None])
    guest.expect(guest.call("echo", value) == [value], "echo")


def _eval(guest: Guest, dice: Random) -> None:
    number = dice.randrange(1000)
    guest.expect(guest.eval("local a = ... return a * 2", number) == [2 * number], "a product")


def _pause(guest: Guest, dice: Random) -> None:
    number = dice.randrange(1000)
    told = guest.call("pause", dice.uniform(0, 0.03), number)
    guest.expect(told == [number], "an answer that waited")


def _pushes(guest: Guest, dice: Random) -> None:
    count = dice.randrange(10)
    answer = guest.ask(CALL, {0x22: "pushes", 0x21: [count]}, pushes=count)
    guest.expect(answer.data == [count], "an answer behind pushes")


def _storage(guest: Guest, dice: Random) -> None:
    value = dice.randrange(1000)
    guest.call("keep", value)
    guest.expect(guest.call("kept") == [value], "the storage")


def _itself(guest: Guest, dice: Random) -> None:
    told = guest.eval("local s = box.session return s.id(), s.exists(s.id()), s.peer()")
    guest.expect(told == [guest.record.session, 1, guest.record.peer], f"itself: {told}")


def _heap(guest: Guest, dice: Random) -> None:
    """Many at once; answers come in any order."""
    count = dice.randrange(2, 40)
    waiting = set()
    for _ in range(count):
        name = dice.choice(["echo", "pause"])
        waiting.add(guest.send(CALL, {0x22: name, 0x21: [dice.uniform(0, 0.01)]}))
        if dice.random() < 0.2:
            waiting.add(guest.send(PING))
    while waiting:
        with guest.at("waiting for a heap"):
            answer = guest.raw.packet()
        guest.expect(answer.sync in waiting, f"an answer to {answer.sync}")
        guest.expect(not answer.is_error, f"error {answer.code}: {answer.text}")
        waiting.remove(answer.sync)
        guest.took(answer)


def _ping(guest: Guest, dice: Random) -> None:
    guest.ping()


TOPICS: Final = (_echo, _eval, _pause, _pushes, _storage, _itself, _heap, _ping)

Purpose = Callable[[Visit], None]

VISITS: Final[Mapping[Purpose, int]] = {
    brief: 40,
    abrupt: 15,
    letters: 8,
    login: 8,
    watcher: 6,
    console: 6,
    slow_reader: 4,
    half_closed: 6,
    silent: 1,
    deaf: 2,
    chat: 6,
}
"""How often each is chosen, of all."""


def pay(what: Purpose, visit: Visit) -> None:
    """One visit; its host has the records."""
    with contextlib.closing(visit.host), contextlib.suppress(GoneError):
        what(visit)
