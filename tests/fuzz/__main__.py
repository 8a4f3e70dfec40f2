"""The fuzzer: ``make fuzz``, or ``python -m tests.fuzz`` with the options of :func:`_options`.

A run is told by its seed. What goes out on the connection that is tried stands in a file before it
is sent, one line a trial, its pieces as hex; the file is left behind when something goes wrong, a
crash or an endless loop of this process included, and ``--replay FILE`` tries it again.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random, SystemRandom
from typing import Final

from tests.fuzz import mutate, seeds
from tests.fuzz.targets import Target, engine_target, server_target
from tests.helpers.raw import frame

TARGETS: Final[dict[str, Callable[[], AbstractContextManager[Target]]]] = {
    "engine": engine_target,
    "server": server_target,
}
SHARE: Final = {"engine": 0.8, "server": 0.2}
"""Part of the time, or of the trials, that each target gets."""

HANG: Final = 20.0
"""Seconds after which a batch of trials is taken for an endless loop."""
BATCH: Final = 200


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")
    parser.add_argument("--count", type=int, help="how many trials, instead of a time")
    parser.add_argument("--seed", type=int, help="of a run to repeat; by default a new one")
    parser.add_argument("--target", choices=sorted(TARGETS), help="only this one")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="folder of the file")
    parser.add_argument("--replay", type=Path, help="file of a failed run to send again")
    return parser.parse_args(words)


class Diary:
    """The file that holds what was sent on the connection at hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="ascii")

    def start(self) -> None:
        """Begin anew: the connection is another one."""
        self._file.seek(0)
        self._file.truncate()

    def note(self, parts: list[bytes]) -> None:
        self._file.write(" ".join(part.hex() for part in parts) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        self.close()
        self.path.unlink()


def inputs(seed: int) -> Iterator[list[bytes]]:
    """Trials without end: one to three packets, broken and whole, in pieces."""
    random = Random(seed)
    payloads = seeds.payloads()
    while True:
        packets = []
        for _ in range(random.choice([1, 1, 2, 3])):
            if random.random() < 0.8:
                packets.append(mutate.mutant(random, payloads))
            else:
                packets.append(frame(random.choice(payloads)))
        yield mutate.pieces(random, b"".join(packets))


def attack(target: Target, seed: int, keep: Path, more: Callable[[int], bool]) -> None:
    """Try inputs of a seed for as long as ``more`` wants; a failure leaves the file behind."""
    diary = Diary(keep)
    target.renewed = diary.start
    with contextlib.closing(diary):
        _try_inputs(target, seed, diary, more)
    diary.remove()


def _try_inputs(target: Target, seed: int, diary: Diary, more: Callable[[int], bool]) -> None:
    for number, parts in zip(itertools.count(), inputs(seed), strict=False):
        if number % BATCH == 0:
            faulthandler.dump_traceback_later(HANG, exit=True)
        if not more(number):
            break
        diary.note(parts)
        target.trial(parts)
    target.finish()
    faulthandler.cancel_dump_traceback_later()


def replay(target: Target, path: Path) -> None:
    """Send what a failed run has left."""
    for line in path.read_text(encoding="ascii").splitlines():
        target.trial([bytes.fromhex(part) for part in line.split()])
    target.finish()


def _limit(options: argparse.Namespace, share: float) -> Callable[[int], bool]:
    if options.count is not None:
        count = int(options.count * share)
        return lambda number: number < count
    end = time.monotonic() + options.seconds * share
    return lambda _: time.monotonic() < end


def main(words: list[str]) -> int:
    """Run, or replay; the exit code."""
    options = _options(words)
    faulthandler.enable()
    names = [options.target] if options.target else list(TARGETS)
    if options.replay:
        for name in names:
            with TARGETS[name]() as target:
                replay(target, options.replay)
                print(f"{name}: {options.replay} does no harm", flush=True)
        return 0
    seed = SystemRandom().randrange(2**32) if options.seed is None else options.seed
    for name in names:
        keep = options.keep / f"{name}-{seed}.txt"
        print(
            f"{name}: seed {seed}; if it fails, the last input is in {keep}; again with", flush=True
        )
        print(f"  python -m tests.fuzz --target {name} --replay {keep}", flush=True)
        print(f"  python -m tests.fuzz --target {name} --seed {seed}  (from the start)", flush=True)
        with TARGETS[name]() as target:
            began = time.monotonic()
            attack(target, seed, keep, _limit(options, 1.0 if options.target else SHARE[name]))
            took = time.monotonic() - began
        print(f"{name}: {target.trials} trials in {took:.1f} s, nothing found", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
