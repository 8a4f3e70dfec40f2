"""Numbers that never change: built-in users and roles, bits of privileges, ids of system spaces.

Data for the other modules of this package and for :mod:`server.credentials`; pure.
"""

from __future__ import annotations

from typing import Final

GUEST: Final = 0
ADMIN: Final = 1
PUBLIC: Final = 2
REPLICATION: Final = 3
SUPER: Final = 31
BUILT_IN: Final = frozenset({GUEST, ADMIN, PUBLIC, REPLICATION, SUPER})
FIRST_ID: Final = 32
"""Of users and roles that are made later; ids are never given twice."""

USER: Final = "user"
ROLE: Final = "role"
FUNCTION: Final = "function"
UNIVERSE: Final = "universe"
SPACE: Final = "space"
EVERY: Final = ""
"""Object id of a privilege on all objects of a type."""

BITS: Final = {
    "read": 1,
    "write": 2,
    "execute": 4,
    "session": 8,
    "usage": 16,
    "create": 32,
    "drop": 64,
    "alter": 128,
    "reference": 256,
    "trigger": 512,
    "insert": 1024,
    "update": 2048,
    "delete": 4096,
    "grant": 8192,
    "metagrant": 16384,
}
EXECUTE: Final = BITS["execute"]
LOGIN: Final = BITS["session"] | BITS["usage"]
"""What a user needs to be used at all; no role can give it."""
ALL_BITS: Final = 0xFFFFFFFF

_EXECUTABLE: Final = ("execute", "usage", "create", "drop")
PERMISSIONS: Final[dict[str, tuple[str, ...]]] = {
    UNIVERSE: tuple(BITS),
    SPACE: (
        *("read", "write", "usage", "create", "drop", "alter", "reference", "trigger"),
        *("insert", "update", "delete"),
    ),
    "sequence": ("read", "write", "usage", "create", "alter", "drop"),
    FUNCTION: _EXECUTABLE,
    ROLE: _EXECUTABLE,
    USER: ("create", "alter", "drop"),
    "lua_call": ("execute", "usage"),
    "lua_eval": ("execute", "usage"),
    "sql": ("execute", "usage"),
    "session": ("read", "write"),
}
"""What can be granted on objects of each type."""

SPACES: Final = {
    "_schema": 272,
    "_collation": 276,
    "_vcollation": 277,
    "_space": 280,
    "_vspace": 281,
    "_sequence": 284,
    "_sequence_data": 285,
    "_vsequence": 286,
    "_index": 288,
    "_vindex": 289,
    "_func": 296,
    "_vfunc": 297,
    "_user": 304,
    "_vuser": 305,
    "_priv": 312,
    "_vpriv": 313,
    "_cluster": 320,
    "_trigger": 328,
    "_truncate": 330,
    "_space_sequence": 340,
    "_vspace_sequence": 341,
    "_fk_constraint": 356,
    "_ck_constraint": 364,
    "_func_index": 372,
    "_session_settings": 380,
}
