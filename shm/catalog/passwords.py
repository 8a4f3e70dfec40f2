"""What is kept of a password, and which passwords are good enough.

The rules are the settings ``security.password_*``; the supervisor applies them to the settings'
credentials, workers to ``box.schema.user.create`` and ``passwd``. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

WEAK: Final = "WEAK_PASSWORD"
"""The error's name in Lua; its value is the text of :meth:`Rules.complaint`."""


def digest(password: bytes) -> bytes:
    """The 20 bytes kept of a password: SHA-1 of its SHA-1, as chap-sha1 wants it."""
    return _sha1(_sha1(password))


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


@dataclass(frozen=True)
class Rules:
    """What a password must have; by default anything will do."""

    min_length: int = 0
    """Characters."""
    enforce_uppercase: bool = False
    enforce_lowercase: bool = False
    enforce_digits: bool = False
    enforce_specialchars: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Rules:
        """From settings by their flat names, ``password_min_length`` and so on."""
        found = {name: settings.get(f"password_{name}") for name in cls.__dataclass_fields__}
        return cls(**{name: value for name, value in found.items() if value is not None})

    def complaint(self, password: str) -> str | None:
        """What the password lacks, None when it is good; never a part of it."""
        if len(password) < self.min_length:
            return f"password should be at least {self.min_length} characters long"
        missing = (
            (self.enforce_uppercase, str.isupper, "uppercase letter"),
            (self.enforce_lowercase, str.islower, "lowercase letter"),
            (self.enforce_digits, str.isdigit, "digit"),
            (self.enforce_specialchars, _special, "special character"),
        )
        for enforced, wanted, what in missing:
            if enforced and not any(map(wanted, password)):
                return f"password should contain at least one {what}"
        return None


def _special(character: str) -> bool:
    return not character.isalnum() and not character.isspace()
