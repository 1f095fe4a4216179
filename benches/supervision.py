#!/usr/bin/env python3
"""Measures what isolation costs: the start of a RUN in each rung that works here, and one supervised call.

    benches/supervision.py --strata target/*/release/strata [--runs 5]

Needs a static busybox in /bin. Every rung is forced in turn; those that do not work here are left out. The start of a
RUN is the time of a build with many RUNs of `true` less that of one with a single RUN, for each RUN more. A call is a
shell's own `test -e` or `<`, in a loop, less the same loop without one.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

MANY = 20
LOOPS = 20000

# One line each: what is measured, and the body of the loop.
CALLS = [
    ("stat of a file of the root", "test -e /bin/busybox"),
    ("stat below /proc", "test -e /proc/self/stat"),
    ("open of a file of the root", ": < /bin/busybox"),
    ("open below /proc", ": < /proc/self/stat"),
    ("change of the mode", "umask 022"),
]


def dockerfile(*commands):
    lines = ["FROM scratch", "COPY busybox /bin/busybox", "COPY busybox /bin/sh"]
    # A file that seems somebody else's, as nearly every image has some: otherwise there is nothing to look up.
    lines.append('RUN ["/bin/busybox", "touch", "/theirs"]')
    lines.append("COPY --chown=33:34 busybox /theirs")
    return "\n".join(lines + list(commands)) + "\n"


def build(strata, rung, context, text):
    with open(os.path.join(context, "Dockerfile"), "w") as file:
        file.write(text)
    state = tempfile.mkdtemp(prefix="strata-bench-", dir="/var/tmp")
    try:
        started = time.perf_counter()
        subprocess.run(
            [strata, "build", f"--isolation={rung}", f"--state-dir={state}", "--no-cache", "--progress=quiet",
             f"--output=type=oci,dest={state}/out", context],
            check=True, stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - started
    finally:
        shutil.rmtree(state, ignore_errors=True)


def rungs(strata):
    said = subprocess.run([strata, "doctor", "--json"], check=True, capture_output=True, text=True).stdout
    found = json.loads(said)
    candidates = found["candidates"] if isinstance(found, dict) else found
    return [one["name"] for one in candidates if one["verdict"]["verdict"] == "works"]


def median(runs, measure):
    return statistics.median(measure() for _ in range(runs))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strata", required=True)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    busybox = "/bin/busybox"
    if not os.path.exists(busybox):
        sys.exit("needs a static busybox in /bin")
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as context:
        shutil.copy(busybox, os.path.join(context, "busybox"))
        for rung in rungs(options.strata):
            def timed(*commands, rung=rung):
                return median(options.runs, lambda: build(options.strata, rung, context, dockerfile(*commands)))

            one, many = timed("RUN true"), timed(*["RUN true"] * (MANY + 1))
            print(f"{rung}: start of a RUN {1e3 * (many - one) / MANY:.1f} ms")
            loop = "RUN n=0; while test $n -lt %d; do n=$((n+1)); %s; done"
            empty = timed(loop % (LOOPS, ":"))
            for name, body in CALLS:
                cost = (timed(loop % (LOOPS, body)) - empty) / LOOPS
                print(f"{rung}: {name} {1e6 * cost:.1f} µs")


if __name__ == "__main__":
    main()
