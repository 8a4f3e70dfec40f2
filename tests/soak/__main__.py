"""The soak: ``make soak``, or ``python -m tests.soak`` with the options of :func:`_options`.

Minutes of load and churn from several processes, with faults at random in the middle; then every
invariant is checked and printed. A run is told by its seed: what clients and faults choose is in
it, when it happens is the machine's business. After a failure the folder of the run is left behind
(the server's log, its triggers' journal, the clients' records).
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from random import SystemRandom

from tests.soak import invariants, plan, run


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, of all rounds")
    parser.add_argument("--faults", type=int, default=1000, help="most faults")
    parser.add_argument(
        "--only", action="append", default=[], choices=sorted(plan.DECK), help="kinds of faults"
    )
    parser.add_argument("--gap", type=float, default=plan.GAP, help="seconds between two, at most")
    parser.add_argument("--seed", type=int, help="of a run to repeat; by default a new one")
    parser.add_argument("--processes", type=int, default=3, help="processes of clients")
    parser.add_argument("--keep", type=Path, default=Path("build/soak"), help="folder of the runs")
    parser.add_argument("--short", action="store_true", help="two rounds only, as in the gate")
    return parser.parse_args(words)


def _say(text: str) -> None:
    print(text, flush=True)


def main(words: list[str]) -> int:
    """Run and judge; the exit code."""
    told = _options(words)
    # What was started is ended when this process is asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = SystemRandom().randrange(2**32) if told.seed is None else told.seed
    folder = (told.keep / str(seed)).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    again = words if "--seed" in words else [*words, "--seed", str(seed)]
    _say(f"seed {seed}; if it fails, everything is in {folder}; again with")
    _say(f"  python -m tests.soak {' '.join(again)}")
    options = run.Options(
        seed=seed,
        seconds=told.seconds,
        plan=partial(
            plan.schedule, seed, most=told.faults, deck=plan.only(told.only), gap=told.gap
        ),
        processes=told.processes,
        folder=folder,
        short=told.short,
    )
    try:
        facts = run.soak(options, _say)
    except BaseException:
        _say(f"FAILED; everything is in {folder}")
        raise
    done = facts.ledger.done
    _say("faults: " + ", ".join(f"{kind} {done[kind]}" for kind in sorted(done)))
    findings = invariants.check(facts)
    _say(invariants.table(findings))
    if all(each.holds for each in findings):
        shutil.rmtree(folder)
        return 0
    _say(f"FAILED; everything is in {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
