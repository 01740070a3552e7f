"""`make soak`: random faults for minutes, and memory, descriptors and threads flat at the end."""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from faults.harness import World
from faults.random_faults import Siege

#: What a process may grow by, from the first to the last third of its samples: bytes have pools and caches.
_MAY_GROW = {"MB": 20.0, "descriptors": 6, "threads": 4}
_LEAST_SAMPLES = 6


def main():
    """Run a soak and exit with 1 when something broke or grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--agents", type=int, default=6)
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.agents} agents, {given.minutes} minutes", flush=True)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="kitsune-soak-") as folder,
        World(Path(folder)) as world,
    ):
        siege = Siege(world, agents=given.agents, say=_to_log)
        samples, rounds = {}, 0
        while (spent := (time.monotonic() - began) / 60) < given.minutes:
            # In the second half processes live on, so that what they hold can be compared.
            siege.gentle = spent > given.minutes / 2
            siege.throw(seed=given.seed + rounds, rounds=1, actions=12)
            rounds += 1
            if siege.gentle:
                _sample(world, samples)
            print(f"round {rounds}: {siege.faults} faults, {siege.checked} rollouts", flush=True)
        grown = report(samples)
    if not any(len(rows) > _LEAST_SAMPLES for rows in samples.values()):
        print("too short to say whether anything grows: give it more --minutes")
        return 2
    print("grown: " + "; ".join(grown) if grown else "flat")
    return 1 if grown else 0


def report(samples):
    """Print what each process held at first and at last; return what grew too much."""
    grown = []
    for (name, pid), taken in sorted(samples.items()):
        rows = taken[1:]  # the first one is still warming up
        if len(rows) < _LEAST_SAMPLES:
            print(f"{name} ({pid}): {len(rows)} samples, too few to compare")
            continue
        third = len(rows) // 3
        for what, limit in _MAY_GROW.items():
            first = statistics.median(row[what] for row in rows[:third])
            last = statistics.median(row[what] for row in rows[-third:])
            print(f"{name} ({pid}): {what} {first:.0f} -> {last:.0f} in {len(rows)} samples")
            # Temporal keeps histories and caches; its memory is told and not judged.
            if last - first > limit and (name, what) != ("temporal", "MB"):
                grown.append(f"{name} {what} {first:.0f} -> {last:.0f}")
    return grown


def _sample(world, samples):
    for process in (world.temporal, world.orchestrator, *world.servers.values()):
        proc = Path(f"/proc/{process.running.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        samples.setdefault((process.name, process.running.pid), []).append(
            {
                "MB": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
                "descriptors": len(list((proc / "fd").iterdir())),
                "threads": len(list((proc / "task").iterdir())),
            }
        )


def _to_log(line):
    print(f"  {line}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which takes down the world as well
    sys.exit(main())
