"""Requests of tests about fibers, as bytes."""

from __future__ import annotations

from tests.helpers.raw import EVAL, request

STREAM = 0x0A


def evaluation(sync: int, source: str, *arguments: object, stream: int = 0) -> bytes:
    """An EVAL, in a stream when one is named."""
    header = {0: EVAL, 1: sync} | ({STREAM: stream} if stream else {})
    return request(header, {0x27: source, 0x21: list(arguments)})
