"""The tables of the catalog's file: one step of migration for each version, oldest first.

``PRAGMA user_version`` counts the steps a file has been through; :mod:`shm.catalog.store` runs
those that are missing, in one transaction. A step that was released is never edited: what changes
is added as a new step. Pure data.

principals           users and roles in one name space; ``serial`` moves with every password
privileges           one row for each grantee and object; ``object_id`` is a number, or a text for
                     objects known by name only, '' for all objects of the type
functions            what box.schema.func.create made
meta                 the next ids
once                 keys of box.once; ``runner`` is who still works on it, NULL when it is over
settings_privileges  what the settings granted, so that it can be taken back when they change;
                     functions are known by name here, and need not exist yet
"""

from __future__ import annotations

from typing import Final

from shm.catalog.objects import (
    ADMIN,
    ALL_BITS,
    BITS,
    EXECUTE,
    FIRST_ID,
    GUEST,
    LOGIN,
    PUBLIC,
    REPLICATION,
    SPACES,
    SUPER,
)
from shm.catalog.passwords import digest

APPLICATION_ID: Final = int.from_bytes(b"bees", "big")
"""What tells the file from those of other programs."""

_TABLES: Final = (
    """
    CREATE TABLE principals (
      id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
      owner INTEGER NOT NULL REFERENCES principals (id),
      name TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL CHECK (kind IN ('user', 'role')),
      hash BLOB CHECK (hash IS NULL OR (kind = 'user' AND length(hash) = 20)),
      settings_hash BLOB,
      serial INTEGER NOT NULL DEFAULT 0,
      modified INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE privileges (
      grantor INTEGER NOT NULL REFERENCES principals (id),
      grantee INTEGER NOT NULL REFERENCES principals (id),
      object_type TEXT NOT NULL,
      object_id NOT NULL,
      mask INTEGER NOT NULL CHECK (mask BETWEEN 1 AND 4294967295),
      PRIMARY KEY (grantee, object_type, object_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX privileges_object ON privileges (object_type, object_id)",
    "CREATE INDEX privileges_grantor ON privileges (grantor)",
    "CREATE INDEX principals_owner ON principals (owner)",
    """
    CREATE TABLE functions (
      id INTEGER PRIMARY KEY,
      owner INTEGER NOT NULL REFERENCES principals (id),
      name TEXT NOT NULL UNIQUE,
      setuid INTEGER NOT NULL,
      language TEXT NOT NULL,
      body NOT NULL,
      routine_type TEXT NOT NULL,
      param_list TEXT NOT NULL,
      returns NOT NULL,
      aggregate NOT NULL,
      sql_data_access TEXT NOT NULL,
      is_deterministic INTEGER NOT NULL,
      is_sandboxed INTEGER NOT NULL,
      is_null_call INTEGER NOT NULL,
      exports TEXT NOT NULL,
      opts TEXT NOT NULL,
      comment NOT NULL,
      created TEXT NOT NULL,
      last_altered TEXT NOT NULL,
      trigger TEXT NOT NULL
    )
    """,
    "CREATE INDEX functions_owner ON functions (owner)",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE once (key PRIMARY KEY) WITHOUT ROWID",
    """
    CREATE TABLE settings_privileges (
      grantee INTEGER NOT NULL REFERENCES principals (id) ON DELETE CASCADE,
      object_type TEXT NOT NULL,
      object_id NOT NULL,
      mask INTEGER NOT NULL,
      PRIMARY KEY (grantee, object_type, object_id)
    ) WITHOUT ROWID
    """,
)

_PRINCIPALS: Final = (
    (ADMIN, "admin", "user"),
    (GUEST, "guest", "user"),
    (PUBLIC, "public", "role"),
    (REPLICATION, "replication", "role"),
    (SUPER, "super", "role"),
)
_READ, _WRITE = BITS["read"], BITS["write"]
_PUBLIC_READS: Final = (
    *("_vcollation", "_vspace", "_vsequence", "_vindex", "_vfunc", "_vuser", "_vpriv"),
    "_vspace_sequence",
)
_GRANTS: Final = (
    (ADMIN, "universe", 0, ALL_BITS),
    (SUPER, "universe", 0, ALL_BITS),
    (GUEST, "universe", 0, LOGIN),
    (GUEST, "role", PUBLIC, EXECUTE),
    (REPLICATION, "universe", 0, _READ),
    (REPLICATION, "space", SPACES["_cluster"], _WRITE),
    *((PUBLIC, "space", SPACES[name], _READ) for name in _PUBLIC_READS),
    (PUBLIC, "space", SPACES["_collation"], _WRITE),
    (PUBLIC, "space", SPACES["_truncate"], _WRITE),
    (PUBLIC, "space", SPACES["_session_settings"], _READ | _WRITE),
)
_CONTENT: Final = (
    *(
        "INSERT INTO principals (id, owner, name, kind, modified) "
        f"VALUES ({number}, {ADMIN}, '{name}', '{kind}', 0)"
        for number, name, kind in _PRINCIPALS
    ),
    f"UPDATE principals SET hash = x'{digest(b'').hex()}' WHERE id = {GUEST}",
    *(
        "INSERT INTO privileges (grantor, grantee, object_type, object_id, mask) "
        f"VALUES ({ADMIN}, {grantee}, '{kind}', {number}, {mask})"
        for grantee, kind, number, mask in _GRANTS
    ),
    f"INSERT INTO meta VALUES ('next_principal', {FIRST_ID}), ('next_function', 1)",
)

_ONCE_RUNNER: Final = ("ALTER TABLE once ADD COLUMN runner TEXT",)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = ((*_TABLES, *_CONTENT), _ONCE_RUNNER)
"""Statements of each step; their number is the newest version."""
