"""What is closed at the end of ``with``: the engine of the tests, and both kinds of clients.

A class on it has ``close``, which is called whether the block failed or not.
"""

from __future__ import annotations

import abc
from typing import Self


class Closing(abc.ABC):
    """A context manager by its ``close``."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give everything back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
