"""What must be true of every catalog, and a simple model of what the operations do to one.

The model knows users and roles by name and nothing of SQL; test_random compares the two, and the
tests with several processes check :func:`violations`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shm.catalog import snapshot
from shm.catalog.store import Store

GUEST, ADMIN, PUBLIC = 0, 1, 2


@dataclass
class Model:
    """Names and rights as dictionaries; operations answer the error's name, or the result."""

    principals: dict[str, tuple[int, str]] = field(default_factory=dict)
    functions: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Id and owner by name."""
    rights: dict[tuple[int, str, Any], int] = field(default_factory=dict)
    next_principal: int = 32
    next_function: int = 1

    @classmethod
    def of(cls, store: Store) -> Model:
        found = snapshot.load(store)
        return cls(
            {row[2]: (row[0], row[3]) for row in found["principals"]},
            {row["name"]: (row["id"], row["owner"]) for row in found["functions"]},
            {(row[1], row[2], row[3]): row[4] for row in found["privileges"]},
        )

    def create(self, kind: str, name: str) -> Any:
        if name in self.principals:
            return f"{kind.upper()}_EXISTS"
        number = self.next_principal
        self.next_principal += 1
        self.principals[name] = (number, kind)
        if kind == "user":
            own = {("role", PUBLIC): 4, ("universe", 0): 24, ("user", number): 128}
            self.rights |= {(number, *key): mask for key, mask in own.items()}
        return number

    def drop(self, kind: str, name: str) -> Any:
        number = self.number(kind, name)
        if number is None:
            return f"NO_SUCH_{kind.upper()}"
        if number < 32:
            return "DROP_USER"
        for function in [f for f, (_, owner) in self.functions.items() if owner == number]:
            self.drop_function(function)
        self.rights = {
            key: mask
            for key, mask in self.rights.items()
            if key[0] != number and not (key[1] in ("user", "role") and key[2] == number)
        }
        del self.principals[name]
        return number

    def create_function(self, who: int, name: str) -> Any:
        if name in self.functions:
            return "FUNCTION_EXISTS"
        if who not in [number for number, _ in self.principals.values()]:
            return "NO_SUCH_USER"
        self.functions[name] = (self.next_function, who)
        self.next_function += 1
        return self.functions[name][0]

    def drop_function(self, name: str) -> Any:
        if name not in self.functions:
            return "NO_SUCH_FUNCTION"
        number, _ = self.functions.pop(name)
        self.rights = {
            key: mask for key, mask in self.rights.items() if key[1:] != ("function", number)
        }
        return number

    def grant(self, kind: str, name: str, mask: int, what: str, named: str) -> Any:
        number, key, problem = self._both(kind, name, what, named)
        if kind == "role" and mask & 24 and number is not None:
            return "GRANT"
        if problem:
            return problem
        if what == "role" and kind == "role" and mask & 4 and number in self._had_by(key):
            return "ROLE_LOOP"
        had = self.rights.get((number, what, key), 0)
        if not mask & ~had:
            return "ROLE_GRANTED" if what == "role" and mask == 4 else "PRIV_GRANTED"
        self.rights[number, what, key] = had | mask
        return True

    def revoke(self, kind: str, name: str, mask: int, what: str, named: str) -> Any:
        number, key, problem = self._both(kind, name, what, named)
        if problem:
            return problem
        had = self.rights.get((number, what, key), 0)
        if not had & mask:
            whole = what == "role" and mask == 4 and not had
            return "ROLE_NOT_GRANTED" if whole else "PRIV_NOT_GRANTED"
        self.rights[number, what, key] = had & ~mask
        if not had & ~mask:
            del self.rights[number, what, key]
        return True

    def number(self, kind: str, name: str) -> int | None:
        number, found = self.principals.get(name, (None, None))
        return number if found == kind else None

    def _both(self, kind: str, name: str, what: str, named: str) -> tuple[Any, Any, str | None]:
        number = self.number(kind, name)
        if number is None:
            return None, None, f"NO_SUCH_{kind.upper()}"
        if what == "function":
            key = self.functions.get(named, (None, 0))[0]
        else:
            key = self.number(what, named)
        return number, key, f"NO_SUCH_{what.upper()}" if key is None else None

    def _had_by(self, role: Any) -> set[Any]:
        reached, new = set(), {role}
        while new:
            reached |= new
            new = {
                key
                for (grantee, what, key), mask in self.rights.items()
                if grantee in reached and what == "role" and mask & 4
            } - reached
        return reached


def violations(store: Store) -> list[str]:
    """What is wrong with a catalog that nobody is changing."""
    found = snapshot.load(store)
    kinds = {row[0]: row[3] for row in found["principals"]}
    functions = {row["id"] for row in found["functions"]}
    owned = [(row[2], row[1]) for row in found["principals"]]
    owned += [(row["name"], row["owner"]) for row in found["functions"]]
    wrong = [f"owner {owner} of {name}" for name, owner in owned if owner not in kinds]
    wrong += [
        f"{what} {row}" for row in found["privileges"] for what in _wrong(row, kinds, functions)
    ]
    for number in [number for number, kind in kinds.items() if kind == "user" and number >= 32]:
        own = {(row[2], row[3]) for row in found["privileges"] if row[1] == number}
        if not {("universe", 0), ("user", number)} <= own:
            wrong.append(f"rights of user {number}: {own}")
    with store.reading() as connection:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            wrong.append("integrity")
        following = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    if following["next_principal"] <= max(kinds) or following["next_function"] <= max(
        functions | {0}
    ):
        wrong.append(f"next ids: {following}")
    return wrong


def _wrong(row: list[Any], kinds: dict[int, str], functions: set[int]) -> list[str]:
    """What is wrong with a privilege."""
    grantor, grantee, what, key, mask = row
    wrong = []
    if grantor not in kinds or grantee not in kinds or not mask:
        wrong.append("parties of")
    if what == "function" and key != "" and key not in functions:
        wrong.append("function of")
    if what in ("user", "role") and key != "" and kinds.get(key) != what:
        wrong.append("object of")
    return wrong
