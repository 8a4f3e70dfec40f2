"""What clients come for alone: each function is one visit, from the connection to its end.

A visit gets a :class:`Visit`: who it meets, its dice, and the event that ends the soak. It checks
every answer. In ``calm`` nobody leaves with a request that is not answered, so that the server's
figures and the clients' have to be the same; otherwise some do. Visits of several clients are in
:mod:`tests.soak.encounters`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.helpers.raw import AUTH, CALL, PING, scramble
from tests.soak.guest import Guest, Host

PASSWORD: Final = "Sesame-0pen"
USERS: Final = ("ann", "bob", "cid")
NO_LOGIN: Final = 47
"""Error of a wrong password."""
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


Purpose = Callable[[Visit], None]


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


def login(visit: Visit) -> None:
    """Log in as several users, one after another, also with wrong passwords."""
    guest, dice = visit.host.guest(), visit.dice
    guest.settle()
    for _ in range(dice.randrange(1, 5)):
        name, right = dice.choice(USERS), dice.random() < 0.8
        proof = scramble(guest.raw.salt, PASSWORD if right else "Sesam")
        sync = guest.send(AUTH, {0x23: name, 0x21: ["chap-sha1", proof]})
        guest.record.mistyped += [] if right else [name]
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


def _survey(guest: Guest, dice: Random) -> None:
    """Look around: rows of the table while it changes."""
    mine = guest.record.session
    rows = guest.call("box.session.list", {"limit": 30, "after": dice.randrange(mine)})[0]
    ids = [row["id"] for row in rows]
    guest.expect(ids == sorted(set(ids)), f"sessions out of order: {ids}")
    guest.expect(all(row["peer"] and row["connected"] for row in rows), f"rows: {rows}")
    own = guest.call("box.session.info", mine)[0]
    told = (own["id"], own["peer"], own["state"])
    guest.expect(told == (mine, guest.record.peer, "live"), f"itself: {own}")


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


TOPICS: Final = (_echo, _eval, _pause, _pushes, _storage, _itself, _survey, _heap, _ping)
