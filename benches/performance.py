#!/usr/bin/env python3
"""Measures what this machine can do, builds the rows of side_by_side.py, and writes docs/performance.md.

    benches/performance.py --strata target/x86_64-unknown-linux-gnu/release/strata --runs 3

Needs what side_by_side.py needs. The limits are measured with other programs than the one that is judged: Python's own
hashlib and zlib, the kernel, Debian's docker-registry. A row's floor is the sum of what cannot be left out, each at its
limit and one after the other; a builder that does several things at once, or leaves something out, may be below it.
"""
import argparse
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib

import side_by_side as rows

MB = 1_000_000
PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "performance.md"


# ---- limits ----------------------------------------------------------------------------------


def seconds(work):
    begun = time.perf_counter()
    work()
    return max(time.perf_counter() - begun, 1e-9)


def best(work, times=3):
    return min(seconds(work) for _ in range(times))


def files_below(root):
    found = 0
    for entry in os.scandir(root):
        entry.stat(follow_symlinks=False)
        found += 1 + (files_below(entry.path) if entry.is_dir(follow_symlinks=False) else 0)
    return found


def put_blob(registry, bytes_):
    connection = http.client.HTTPConnection(registry)
    connection.request("POST", "/v2/limit/blobs/uploads/", headers={"Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    place = answer.headers["Location"].split(registry, 1)[-1]
    digest = "sha256:" + hashlib.sha256(bytes_).hexdigest()
    begun = time.perf_counter()
    connection.request("PUT", f"{place}&digest={digest}", body=bytes_, headers={"Content-Type": "application/octet-stream"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 201:
        raise SystemExit(f"the registry answers an upload with {answer.status}")
    return digest, time.perf_counter() - begun


def get_blob(registry, digest):
    connection = http.client.HTTPConnection(registry)
    connection.request("GET", f"/v2/limit/blobs/{digest}")
    answer = connection.getresponse()
    while answer.read(1 << 20):
        pass


@dataclasses.dataclass
class Limits:
    """What one core, the disk's cache and loopback can do, per second."""

    sha256: float
    deflate: float
    inflate: float
    create: float
    walk: float
    put: float
    get: float

    @staticmethod
    def measure(work, registry):
        with open(work / "large.tar", "rb") as tar:
            tar.seek(100 * MB)
            programs = tar.read(64 * MB)
        sha256 = len(programs) / best(lambda: hashlib.sha256(programs).digest())
        packed = zlib.compress(programs, 6)
        deflate = len(programs) / best(lambda: zlib.compress(programs, 6), 1)
        inflate = len(programs) / best(lambda: zlib.decompress(packed))
        place = pathlib.Path(tempfile.mkdtemp(prefix="limits-", dir=work))
        content = programs[: 10 << 10]

        def create():
            for directory in range(20):
                (place / str(directory)).mkdir()
                for number in range(500):
                    handle = os.open(place / str(directory) / str(number), os.O_WRONLY | os.O_CREAT, 0o644)
                    os.write(handle, content)
                    os.close(handle)

        made = 10_000 / seconds(create)
        walk = 10_020 / best(lambda: files_below(place))
        shutil.rmtree(place)
        noise = os.urandom(128 * MB)
        digest, put = put_blob(registry, noise)
        get = len(noise) / best(lambda: get_blob(registry, digest))
        return Limits(sha256, deflate, inflate, made, walk, len(noise) / put, get)


# ---- what a row cannot leave out ---------------------------------------------------------------


@dataclasses.dataclass
class Base:
    """A base image: what has to come over, and what stands on disk then."""

    packed: int
    unpacked: int
    files: int

    @staticmethod
    def of(work, name):
        with tarfile.open(work / f"{name}.tar") as tar:
            files = sum(1 for _ in tar)
        blobs = (work / f"{name}.oci" / "blobs" / "sha256").iterdir()
        return Base(max(blob.stat().st_size for blob in blobs), (work / f"{name}.tar").stat().st_size, files)

    def read(self, limits):
        return self.packed / limits.get + self.packed / limits.sha256 + self.unpacked / limits.inflate

    def stand(self, limits):
        return self.read(limits) + self.unpacked / limits.sha256 + self.files / limits.create


def sealed(limits, size, packed):
    """A layer of this size, deflated on all cores and sent."""
    cores = os.cpu_count() or 1
    return size / limits.sha256 + packed / limits.sha256 + size / limits.deflate / cores + packed / limits.put


def command_alone(root, script):
    """What a command takes without a builder around it."""
    return seconds(lambda: rows.run("chroot", str(root), "sh", "-c", script, stderr=subprocess.DEVNULL))


def floors(work, limits, keys):
    """Seconds for each of these rows, by what they are spent on."""
    small, large = Base.of(work, "small"), Base.of(work, "large")
    copied = 20_000 * 10_240
    compile_both = "gcc -O2 -o /a /context/a.c & gcc -O2 -o /b /context/b.c; wait"
    unpack = "mkdir -p /opt/tree && tar -C /opt/tree -xf /context/tree.tar; python3 -m compileall -q /opt/tree/d000"
    # The context that a command needs, the command, and how often it runs.
    commands = {
        "runs": (None, "echo 1 > /file", 20),
        "layer": (rows.case_layer, "python3 /context/big.py", 1),
        "stages": (rows.case_stages, compile_both, 1),
        "install": (rows.case_install, unpack, 1),
    }
    layers = {
        "copy": sealed(limits, copied, copied // 50),
        "layer": sealed(limits, 1 << 30, 1 << 29),
        "install": sealed(limits, 6_000 * 12_000, 6_000 * 1_000),
    }
    root = pathlib.Path(tempfile.mkdtemp(prefix="root-", dir=work))
    found = {}
    try:
        if any(key in commands for key in keys):
            rows.run("tar", "-C", str(root), "-xf", str(work / "large.tar"), "--exclude=./dev/*")
        for key in keys:
            parts = found[key] = {"base": large.stand(limits) if key in commands else small.read(limits)}
            if key == "copy":
                parts["context"] = 20_000 / limits.walk + 2 * copied / limits.sha256
            if key in commands:
                write, script, times = commands[key]
                if write is not None:
                    shutil.rmtree(root / "context", ignore_errors=True)
                    (root / "context").mkdir()
                    write(root / "context", "-")
                parts["commands"] = times * command_alone(root, script)
            if key in layers:
                parts["layer"] = layers[key]
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return found


# ---- the page --------------------------------------------------------------------------------


def page(limits, floor, figures, growth, runs):
    # In the order in which they come; not every one takes part in every row.
    peers = [name for name in dict.fromkeys(name for row in figures.values() for name in row) if name != "strata"]
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    out = [
        "# Performance",
        "",
        "Written by `benches/performance.py`; do not edit. Absolute figures are those of one machine on one day: quote the ratios.",
        "",
        "## What the machine can do",
        "",
        f"{platform.machine()}, {cores} cores, {memory:.0f} GB of memory, Linux {platform.release().split('-')[0]}. One core, warm caches.",
        "",
        "| what | with | per second |",
        "|---|---|---|",
        f"| sha256 | OpenSSL | {limits.sha256 / MB:,.0f} MB |",
        f"| deflate, level 6 (programs) | zlib | {limits.deflate / MB:,.0f} MB |",
        f"| inflate | zlib | {limits.inflate / MB:,.0f} MB |",
        f"| files of 10 KiB made | `open`, `write`, `close` | {limits.create:,.0f} |",
        f"| entries walked | `getdents`, `lstat` | {limits.walk:,.0f} |",
        f"| blob to a registry on loopback | docker-registry | {limits.put / MB:,.0f} MB |",
        f"| blob from it | docker-registry | {limits.get / MB:,.0f} MB |",
        "",
        "## How far each row is from that",
        "",
        "A row's floor is the sum of what cannot be left out, each at its limit and one after the other: the base (fetched,",
        "verified, inflated and, for a RUN, on disk), the commands alone, the context read, the layer hashed, deflated on all",
        "cores and sent. Building several things at once, or storing what cannot be deflated, goes below it.",
        f"Each build begins without local state and ends with a push; medians of {runs}. A peer's figures are divided by strata's;",
        "*beyond* is the wall time without that of the commands alone.",
        "",
        "| row | floor | strata | strata/floor | strata's peak |" + "".join(f" {peer}/strata: wall, beyond, processor, memory |" for peer in peers),
        "|---|---|---|---|---|" + "---|" * len(peers),
    ]
    for key, by_builder in figures.items():
        parts = ", ".join(f"{name} {value:.1f}" for name, value in floor[key].items())
        least = sum(floor[key].values())
        ours = rows.medians(by_builder["strata"])
        line = f"| {rows.CASES[key][0]} | {least:.1f} s ({parts}) | {ours['wall']:.1f} s | {ours['wall'] / least:.2f} | {ours['memory'] / MB:.0f} MB |"
        for name in peers:
            if name not in by_builder:
                line += " |"
                continue
            peer = rows.medians(by_builder[name])
            wall, cpu, memory = (f"{peer[what] / max(ours[what], 1e-9):.1f}" for what in ("wall", "cpu", "memory"))
            commands = floor[key].get("commands", 0)
            beyond = (peer["wall"] - commands) / max(ours["wall"] - commands, 1e-9)
            line += f" {wall}, {beyond:.1f}, {cpu}, {memory} |"
        out.append(line)
    out += [
        "",
        "## What grows",
        "",
        "Processor time of whole builds with strata; *one more* is the difference to the size before, for each of what was added.",
        "The root that is walked is that of `--isolation=chroot-supervised`, which has no overlays. Memory grows with the number",
        "of files, since a layer is known by all its entries before its first byte is written, and not with their size.",
        "",
        "| row | how many | wall | processor | one more | peak |",
        "|---|---|---|---|---|---|",
    ]
    for key, sizes in growth.items():
        before = None
        for count, runs_of in sizes.items():
            median = rows.medians(runs_of)
            more = "" if before is None else f"{(median['cpu'] - before[1]) / (count - before[0]) * 1000:.2f} ms"
            out.append(
                f"| {rows.GROWTH[key][0]} | {count:,} | {median['wall']:.1f} s | {median['cpu']:.1f} s | {more} "
                f"| {median['memory'] / MB:.0f} MB |"
            )
            before = (count, median["cpu"])
    return "\n".join(out) + "\n"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--strata", required=True, help="the program to measure (a release build)")
    options.add_argument("--peer", default="buildah", help="the peer's program")
    options.add_argument("--buildkit", action="store_true", help="the BuildKit of Docker's daemon as another peer")
    options.add_argument("--kaniko", help="the executor of kaniko as another peer")
    options.add_argument("--runs", type=int, default=1, help="builds of each builder per row")
    options.add_argument("--case", action="append", choices=rows.CASES, help="only these rows (may repeat)")
    options.add_argument("--grow", action="append", choices=rows.GROWTH, help="only these growing rows (may repeat)")
    options.add_argument("--largest", type=int, default=100_000, help="leave out growing sizes above this")
    options.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp/strata-benches"))
    options.add_argument("--page", type=pathlib.Path, default=PAGE, help="where to write (docs/performance.md)")
    options.add_argument("--json", type=pathlib.Path, help="write every figure here")
    chosen = options.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    registry = rows.Registry(chosen.work)
    builders = [rows.Strata(os.path.abspath(chosen.strata)), rows.Buildah(chosen.peer)]
    builders += [rows.BuildKit()] if chosen.buildkit else []
    builders += rows.kanikos(chosen.kaniko)
    try:
        rows.push_bases(chosen.work, registry.host)
        limits = Limits.measure(chosen.work, registry.host)
        floor = floors(chosen.work, limits, chosen.case or list(rows.CASES))
        figures = rows.side_by_side(chosen, registry, builders)
        growth = rows.grow(chosen, registry, builders[0])
    finally:
        registry.close()
        rows.remove_left(chosen.work)
    chosen.page.write_text(page(limits, floor, figures, growth, chosen.runs))
    if chosen.json:
        everything = {"limits": dataclasses.asdict(limits), "floors": floor, "rows": figures, "growth": growth}
        chosen.json.write_text(json.dumps(everything, indent=1))
    print(f"written: {chosen.page}", file=sys.stderr)


if __name__ == "__main__":
    main()
