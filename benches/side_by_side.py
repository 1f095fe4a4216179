#!/usr/bin/env python3
"""Builds the same images with strata and with a peer, in turn, and prints ratios.

    benches/side_by_side.py --strata target/x86_64-unknown-linux-gnu/release/strata
    benches/side_by_side.py --strata … --case copy --case runs --runs 3

Every build starts from no local state and pushes to a registry on loopback, as a CI job does. Needs root, Debian's
buildah, docker-registry, skopeo, umoci and mmdebstrap. Base images are made once and kept in --work.

Figures are of the whole process tree: wall and processor seconds, and the peak of its resident memory (shared pages
counted once, sampled every 50 ms). Machines drift: the two builders take turns, and the ratio of medians is the figure to quote.
"""
import argparse
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PASSWORDLESS = {k: v for k, v in os.environ.items() if not k.startswith(("BUILDAH_", "DOCKER_"))}


def run(*command, **more):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)


# ---- bases -----------------------------------------------------------------------------------


def make_root(work, name, packages):
    """A Debian root as a tar, made once."""
    tar = work / f"{name}.tar"
    if not tar.exists():
        print(f"making the base {name} …", file=sys.stderr)
        aside = work / f"{name}.part.tar"
        include = ["--include=" + ",".join(packages)] if packages else []
        run("mmdebstrap", "--variant=minbase", *include, "bookworm", str(aside), stderr=subprocess.DEVNULL)
        aside.rename(tar)
    return tar


def push_base(work, registry, name, tar):
    """Pushes a root as an image of one layer."""
    layout = work / f"{name}.oci"
    if not layout.exists():
        run("umoci", "init", "--layout", str(layout))
        run("umoci", "new", "--image", f"{layout}:base")
        run("umoci", "raw", "add-layer", "--image", f"{layout}:base", str(tar))
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        run("umoci", "config", "--image", f"{layout}:base", "--config.env", path)
    run("skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:base", f"docker://{registry}/{name}:base")


class Registry:
    """Debian's docker-registry on a free port of loopback."""

    def __init__(self, work):
        self.storage = tempfile.mkdtemp(prefix="registry-", dir=work)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{port}"
        config = pathlib.Path(self.storage) / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.storage}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: {self.host}}}\n"
        )
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            try:
                http.client.HTTPConnection(self.host, timeout=1).request("GET", "/v2/")
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the registry does not answer")

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.storage, ignore_errors=True)


# ---- cases -----------------------------------------------------------------------------------


def case_copy(context, registry):
    for directory in range(200):
        place = context / "files" / f"d{directory:03}"
        place.mkdir(parents=True)
        for number in range(100):
            seed = f"{directory}/{number} ".encode()
            (place / f"f{number:03}").write_bytes((seed * (10240 // len(seed) + 1))[:10240])
    return f"FROM {registry}/small:base\nCOPY files /files\n"


def case_runs(context, registry):
    return f"FROM {registry}/large:base\n" + "".join(f"RUN echo {n} > /file-{n}\n" for n in range(20))


def case_layer(context, registry):
    # Compresses about as well as programs do: half of each block is noise.
    script = (
        "import os\n"
        "with open('/big','wb') as f:\n"
        "    for n in range(1024):\n"
        "        f.write(b''.join(os.urandom(2048) + bytes(2048) for _ in range(256)))\n"
    )
    (context / "big.py").write_text(script)
    return f"FROM {registry}/large:base\nCOPY big.py /\nRUN python3 /big.py\n"


def case_stages(context, registry):
    body = "".join(f"int f{n}(int x) {{ return x * {n} + (x ^ {n}) % 7; }}\n" for n in range(6000))
    for name in ("a", "b"):
        (context / f"{name}.c").write_text(body + "int main(void) { return f1(2) & 1; }\n")
    stage = "FROM {r}/large:base AS {n}\nCOPY {n}.c /\nRUN gcc -O2 -o /{n} /{n}.c\n"
    text = "".join(stage.format(r=registry, n=name) for name in ("a", "b"))
    return text + f"FROM {registry}/small:base\nCOPY --from=a /a /a\nCOPY --from=b /b /b\n"


CASES = {
    "copy": ("COPY of 20,000 files onto a small base", case_copy),
    "runs": ("20 RUNs on a 600 MB root", case_runs),
    "layer": ("RUN writing 1 GiB in one layer", case_layer),
    "stages": ("two independent compile stages", case_stages),
}


# ---- builders --------------------------------------------------------------------------------


class Strata:
    name = "strata"

    def __init__(self, program):
        self.program = program

    def commands(self, state, context, tag):
        return [[self.program, "build", "--state-dir", f"{state}/strata", "--progress", "plain", "--push", "-t", tag, str(context)]]


class Buildah:
    name = "buildah"

    def __init__(self, program):
        self.program = program

    def commands(self, state, context, tag):
        base = [self.program, "--root", f"{state}/root", "--runroot", f"{state}/run", "--storage-driver", "overlay"]
        # Without CAP_SYS_RESOURCE it may not raise limits; it is told to keep those it lowers itself to.
        limits = []
        for name, which, own in (("nofile", resource.RLIMIT_NOFILE, 1 << 20), ("nproc", resource.RLIMIT_NPROC, 32768)):
            hard = resource.getrlimit(which)[1]
            limit = own if hard == resource.RLIM_INFINITY else min(hard, own)
            limits += ["--ulimit", f"{name}={limit}:{limit}"]
        build = base + ["bud", "--isolation", "chroot", "--layers", "--jobs", "2", "--tls-verify=false", *limits, "-t", tag, str(context)]
        return [build, base + ["push", "-q", "--tls-verify=false", tag]]


def tree_memory(session):
    """Proportional resident bytes of every process of a session."""
    total = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[3]) != session:
                continue
            for line in pathlib.Path(f"/proc/{entry}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except (OSError, IndexError, ValueError):
            continue
    return total


def measure(commands, log):
    wall = cpu = 0.0
    peak = [0]
    for command in commands:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=PASSWORDLESS
        )
        done = threading.Event()

        def sample(pid=process.pid, done=done):
            while not done.wait(0.05):
                peak[0] = max(peak[0], tree_memory(pid))

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            code = process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            done.set()
            sampler.join()
        if code != 0:
            log.flush()
            raise SystemExit(f"{command[0]} failed with {code}; see {log.name}")
        wall += time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "memory": peak[0]}


def empty(state):
    """Unmounts and removes what a builder left, so that the next build has no local state."""
    mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((m for m in mounts if m.startswith(str(state) + "/")), reverse=True):
        subprocess.run(["umount", "-l", place], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(state, ignore_errors=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--strata", required=True, help="the program to measure (a release build)")
    options.add_argument("--peer", default="buildah", help="the peer's program")
    options.add_argument("--case", action="append", choices=CASES, help="only these (may repeat)")
    options.add_argument("--runs", type=int, default=1, help="builds of each builder per case")
    options.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp/strata-benches"))
    options.add_argument("--json", type=pathlib.Path, help="write every figure here")
    chosen = options.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    registry = Registry(chosen.work)
    builders = [Strata(os.path.abspath(chosen.strata)), Buildah(chosen.peer)]
    figures = {}
    try:
        push_base(chosen.work, registry.host, "small", make_root(chosen.work, "small", []))
        push_base(chosen.work, registry.host, "large", make_root(chosen.work, "large", ["build-essential", "python3", "git", "perl-doc"]))
        for key in chosen.case or CASES:
            title, write = CASES[key]
            context = pathlib.Path(tempfile.mkdtemp(prefix="context-", dir=chosen.work))
            (context / "Dockerfile").write_text(write(context, registry.host))
            rows = {builder.name: [] for builder in builders}
            for turn in range(chosen.runs):
                for builder in builders:
                    state = pathlib.Path(tempfile.mkdtemp(prefix="state-", dir=chosen.work))
                    log_path = chosen.work / f"{key}-{builder.name}.log"
                    with open(log_path, "w") as log:
                        tag = f"{registry.host}/{key}-{builder.name}:{turn}"
                        rows[builder.name].append(measure(builder.commands(state, context, tag), log))
                    empty(state)
            shutil.rmtree(context)
            figures[key] = rows
            report(title, rows)
    finally:
        registry.close()
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


def report(title, rows):
    print(f"\n{title}")
    medians = {}
    for name, runs in rows.items():
        median = {what: statistics.median(r[what] for r in runs) for what in ("wall", "cpu", "memory")}
        medians[name] = median
        print(f"  {name:8} wall {median['wall']:7.2f} s   cpu {median['cpu']:7.2f} s   memory {median['memory'] / 1e6:7.1f} MB")
    ours, peer = medians["strata"], medians["buildah"]
    ratios = "   ".join(f"{what} {peer[what] / max(ours[what], 1e-9):.2f}" for what in ("wall", "cpu", "memory"))
    print(f"  peer/strata  {ratios}", flush=True)


if __name__ == "__main__":
    main()
