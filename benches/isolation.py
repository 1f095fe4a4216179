#!/usr/bin/env python3
"""Runs what real Dockerfiles run in each rung that works here, and prints its time as a ratio to the same in a chroot.

    benches/isolation.py --strata target/*/release/strata [--runs 3]

Needs root (for the chroot) and what side_by_side.py needs. Each command measures itself with `date`, so that neither the
base nor the layer counts. `native` is the same root in the same directory, without a builder around it.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

import side_by_side as bases
from supervision import rungs

PACKAGES = ["build-essential", "git", "npm", "python3"]

# What is measured, and the words of the shell. `/context` has the sources.
COMMANDS = [
    ("a compile with make -j2", "cp -r /context/src /build && make -s -C /build -j2"),
    ("5,000 files unpacked and compiled by Python", "mkdir /tree && tar -C /tree -xf /context/tree.tar && python3 -m compileall -q /tree"),
    ("a package of 2,000 files installed by apt-get", "dpkg-deb -b /context/package /tmp/package.deb && apt-get install -qq -y /tmp/package.deb 2>/dev/null"),
    ("40 packages installed by npm", "mkdir /n && cd /n && HOME=/n npm install --silent --offline --no-audit --no-fund /context/modules/*"),
    ("a git repository of 2,000 files made", "mkdir /r && cd /r && git init -q && cp -r /context/small . && git add . && git -c user.name=n -c user.email=e commit -qm 1"),
    ("1,000 processes of a shell", "n=0; while [ $n -lt 1000 ]; do /bin/true; n=$((n+1)); done"),
]


def sources(context):
    src = context / "src"
    src.mkdir()
    for number in range(40):
        body = "".join(f"int f{number}_{n}(int x) {{ return x * {n} + (x ^ {n}) % 7; }}\n" for n in range(100))
        (src / f"f{number}.c").write_text("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + body)
    objects = " ".join(f"f{number}.o" for number in range(40))
    (src / "Makefile").write_text(f"CFLAGS=-O1\nall: {objects}\n\tar rc lib.a {objects}\n")
    for name, count in (("tree", 5000), ("small", 2000)):
        for number in range(count):
            place = context / name / f"d{number // 100:03}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"m{number}.py").write_text(f"def f(x):\n    return x + {number}\n" * 5)
    bases.run("tar", "-C", str(context / "tree"), "-cf", str(context / "tree.tar"), ".")
    for number in range(40):
        module = context / "modules" / f"m{number}"
        module.mkdir(parents=True)
        (module / "package.json").write_text(f'{{"name": "m{number}", "version": "1.0.0"}}')
        for part in range(50):
            (module / f"p{part}.js").write_text("module.exports = 1;\n" * 50)
    package = context / "package"
    shutil.copytree(context / "small", package / "usr/lib/measured")
    (package / "DEBIAN").mkdir()
    (package / "DEBIAN/control").write_text("Package: measured\nVersion: 1\nArchitecture: all\nMaintainer: n <e>\nDescription: measured\n")
    (package / "DEBIAN/postinst").write_text("#!/bin/sh\nset -e\nfind /usr/lib/measured -name '*.py' | xargs chown root:staff\n")
    (package / "DEBIAN/postinst").chmod(0o755)


def timed(words):
    # What was written before, the base above all, is not this command's to wait for.
    return f"sync; begun=$(date +%s%N); {{ {words}; }} >/dev/null && echo took $(($(date +%s%N) - begun))"


def took(output):
    return [int(line.rsplit(" ", 1)[1]) / 1e9 for line in output.splitlines() if " took " in f" {line}" and line.rsplit(" ", 1)[1].isdigit()]


def native(work, context):
    """Seconds of each command in a chroot."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="root-", dir=work))
    bases.run("tar", "-C", str(root), "-xf", str(work / "tools.tar"), "--exclude=./dev/*")
    shutil.copytree(context, root / "context")
    for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
        bases.run("mknod", "-m", "666", str(root / "dev" / name), "c", "1", str(minor))
    found = []
    for _, words in COMMANDS:
        ran = subprocess.run(["chroot", str(root), "sh", "-ec", timed(words)], stdout=subprocess.PIPE, text=True)
        if ran.returncode:
            raise SystemExit(f"natively: {words}")
        found += took(ran.stdout)
    bases.put_away(work, root)
    return found


def built(strata, rung, work, context):
    """Seconds of each command in a rung: steps of one build."""
    state = pathlib.Path(tempfile.mkdtemp(prefix="state-", dir=work))
    steps = "".join(f"RUN --mount=type=bind,target=/context {timed(words)}\n" for _, words in COMMANDS)
    (context / "Dockerfile").write_text(f"FROM base\n{steps}")
    ran = subprocess.run(
        [strata, "build", f"--isolation={rung}", f"--state-dir={state}/strata", "--no-cache", "--progress=plain",
         f"--build-context=base=oci-layout://{work}/tools.oci", f"--output=type=oci,dest={state}/out", str(context)],
        check=True, capture_output=True, text=True,
    )
    bases.put_away(work, state)
    return took(ran.stderr)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--strata", required=True, help="the program to measure (a release build)")
    options.add_argument("--runs", type=int, default=1, help="of each rung; the median counts")
    options.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp/strata-benches"))
    chosen = options.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    registry = bases.Registry(chosen.work)
    try:
        bases.push_base(chosen.work, registry.host, "tools", bases.make_root(chosen.work, "tools", PACKAGES))
        context = pathlib.Path(tempfile.mkdtemp(prefix="context-", dir=chosen.work))
        sources(context)
        strata = os.path.abspath(chosen.strata)
        ways = {"native": lambda: native(chosen.work, context)}
        for rung in rungs(strata):
            ways[rung] = lambda rung=rung: built(strata, rung, chosen.work, context)
        figures = {name: [] for name in ways}
        for _ in range(chosen.runs):
            for name, measure in ways.items():
                figures[name].append(measure())
        bases.put_away(chosen.work, context)
    finally:
        registry.close()
        bases.remove_left(chosen.work)
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    print("| command | native |" + "".join(f" {name} |" for name in medians if name != "native"))
    print("|---|---|" + "---|" * (len(medians) - 1))
    for number, (what, _) in enumerate(COMMANDS):
        alone = medians["native"][number]
        ratios = "".join(f" {row[number] / alone:.2f} |" for name, row in medians.items() if name != "native")
        print(f"| {what} | {alone:.1f} s |{ratios}")


if __name__ == "__main__":
    main()
