#!/usr/bin/env python3
"""Builds the same images with strata and with a peer, in turn, and prints ratios.

    benches/side_by_side.py --strata target/x86_64-unknown-linux-gnu/release/strata
    benches/side_by_side.py --strata … --case copy --case runs --runs 3
    benches/side_by_side.py --strata … --growth

`--growth` builds the rows whose cost grows (stages, steps, files, base layers) with strata alone: each three sizes, to
see whether the line is straight.

Every build starts from no local state and pushes to a registry on loopback, as a CI job does. Needs root, Debian's
buildah, docker-registry, skopeo, umoci and mmdebstrap. Base images are made once and kept in --work.

Figures are of the whole process tree: wall and processor seconds, and the peak of its resident memory (shared pages
counted once, sampled every 50 ms). Machines drift: the two builders take turns, and the ratio of medians is the figure to quote.
"""
import argparse
import ctypes
import http.client
import json
import os
import pathlib
import platform
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


def push_bases(work, registry):
    push_base(work, registry, "small", make_root(work, "small", []))
    push_base(work, registry, "large", make_root(work, "large", ["build-essential", "python3", "git", "perl-doc"]))


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


def case_install(context, registry):
    # What `apt-get install` does without its network: unpack an archive of many files, then a second step.
    for directory in range(100):
        place = context / "tree" / f"d{directory:03}"
        place.mkdir(parents=True)
        for number in range(60):
            text = f"def f{number}(x):\n    return x * {directory} + {number}\n".encode()
            (place / f"m{number:03}.py").write_bytes(text * (12000 // len(text)))
    run("tar", "-C", str(context / "tree"), "-cf", str(context / "tree.tar"), ".")
    shutil.rmtree(context / "tree")
    unpack = "RUN --mount=type=bind,target=/context mkdir -p /opt/tree && tar -C /opt/tree -xf /context/tree.tar"
    return f"FROM {registry}/large:base\n{unpack}\nRUN python3 -c 'import compileall; compileall.compile_dir(\"/opt/tree/d000\", quiet=1)'\n"


CASES = {
    "copy": ("COPY of 20,000 files onto a small base", case_copy),
    "runs": ("20 RUNs on a 600 MB root", case_runs),
    "layer": ("RUN writing 1 GiB in one layer", case_layer),
    "stages": ("two independent compile stages", case_stages),
    "install": ("unpacking an archive of 6,000 files and a second step", case_install),
}


# ---- what grows ------------------------------------------------------------------------------


def grow_stages(context, registry, count):
    stages = "".join(f"FROM {registry}/small:base AS s{n}\nRUN echo {n} > /made-{n}\n" for n in range(count))
    copies = "".join(f"COPY --from=s{n} /made-{n} /\n" for n in range(count))
    return f"{stages}FROM scratch\n{copies}"


def grow_steps(context, registry, count):
    return f"FROM {registry}/large:base\n" + "".join(f"RUN echo {n} > /file-{n}\n" for n in range(count))


def grow_files(context, registry, count):
    for number in range(count):
        place = context / "files" / f"d{number // 1000:04}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"f{number % 1000:03}").write_bytes(f"file {number}\n".encode() * 50)
    return f"FROM {registry}/small:base\nCOPY files /files\n"


def grow_layers(context, registry, count):
    return f"FROM {registry}/layers:{count}\nRUN true > /made\n"


# What it is, how its Dockerfile is written, sizes, and flags of strata.
GROWTH = {
    "stages": ("stages with a RUN each", grow_stages, (1, 10, 100), []),
    "steps": ("RUNs on a 600 MB root", grow_steps, (10, 100, 1000), []),
    # Outside of a mount namespace nothing is mounted.
    "walked": ("RUNs on a 600 MB root that is walked", grow_steps, (10, 100, 200), ["--isolation=chroot-supervised"]),
    "files": ("files copied onto a small base", grow_files, (1_000, 10_000, 100_000, 1_000_000), []),
    "layers": ("layers of the base below one RUN", grow_layers, (1, 30, 120), []),
}


def push_layers(work, registry, program, count):
    """An image with this many small layers on the small base."""
    context = pathlib.Path(tempfile.mkdtemp(prefix="layers-", dir=work))
    lines = [f"FROM {registry}/small:base"]
    for number in range(count - 1):
        (context / f"file-{number}").write_text(str(number))
        lines.append(f"COPY file-{number} /layers/")
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    state = context / "state"
    tag = f"{registry}/layers:{count}"
    run(program, "build", "--state-dir", str(state), "--push", "-t", tag, str(context), stderr=subprocess.DEVNULL)
    put_away(work, context)


def grow(chosen, registry, strata):
    """Builds every growing row with strata, and prints what one more costs between two sizes."""
    figures = {}
    for key in chosen.grow or GROWTH:
        title, write, counts, flags = GROWTH[key]
        builder = Strata(strata.program, flags)
        print(f"\n{title}")
        rows = figures[key] = {}
        for count in counts:
            if count > chosen.largest:
                continue
            if key == "layers":
                push_layers(chosen.work, registry.host, strata.program, count)
            context = pathlib.Path(tempfile.mkdtemp(prefix="context-", dir=chosen.work))
            (context / "Dockerfile").write_text(write(context, registry.host, count))
            tag = f"{registry.host}/grow-{key}:{count}"
            rows[count] = builds(chosen, builder, context, tag, f"grow-{key}", chosen.runs)
            put_away(chosen.work, context)
            median = medians(rows[count])
            line = f"  {count:9,} wall {median['wall']:8.2f} s   cpu {median['cpu']:8.2f} s   memory {median['memory'] / 1e6:7.1f} MB"
            smaller = [known for known in rows if known < count]
            if smaller:
                before = medians(rows[max(smaller)])
                each = (median["cpu"] - before["cpu"]) / (count - max(smaller))
                line += f"   one more {each * 1000:8.3f} ms of cpu"
            print(line, flush=True)
    return figures


# ---- builders --------------------------------------------------------------------------------


class Strata:
    name = "strata"

    def __init__(self, program, flags=()):
        self.program = program
        self.flags = flags

    def commands(self, state, context, tag):
        build = [self.program, "build", *self.flags, "--state-dir", f"{state}/strata", "--progress", "plain"]
        return [[*build, "--push", "-t", tag, str(context)]]


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


class BuildKit:
    """The one inside Docker's daemon, which is started for the build and stopped after it: `docker.io` of Debian."""

    name = "buildkit"
    SCRIPT = """
        dockerd --data-root $0/root --exec-root $0/exec --pidfile $0/pid --host unix://$0/socket \\
            --iptables=false --ip6tables=false --bridge=none --storage-driver overlay2 &
        daemon=$!
        for wait in $(seq 600); do [ -S $0/socket ] && break; sleep 0.05; done
        export DOCKER_HOST=unix://$0/socket DOCKER_BUILDKIT=1
        /usr/bin/docker build --progress plain --network host -t $2 $1 && /usr/bin/docker push -q $2
        code=$?
        kill $daemon
        wait $daemon
        exit $code
    """

    def commands(self, state, context, tag):
        # Names of sockets are short.
        place = pathlib.Path(tempfile.mkdtemp(prefix="d", dir=state))
        return [["sh", "-c", self.SCRIPT, str(place), str(context), tag]]


class Kaniko:
    """Its executor, in a root, a `/dev` and a `/proc` of its own: it empties what it finds."""

    name = "kaniko"
    SCRIPT = """
        set -e
        mount --bind $0 $0
        cd $0
        mkdir -p proc dev sources old tmp kaniko/.docker kaniko/ssl/certs
        cp $1 kaniko/executor
        cp $(command -v busybox) kaniko/busybox
        mount -t proc proc proc
        mount -t tmpfs dev dev
        for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 dev/${node%:*} c 1 ${node#*:}; done
        mount --bind -o ro $2 sources
        pivot_root . old
        exec /kaniko/busybox sh -c 'umount -l /old && rmdir /old && exec /kaniko/executor "$@"' sh \
            --force --insecure --insecure-pull --context dir:///sources --dockerfile /sources/Dockerfile --destination $3 $4
    """
    flags = ""

    def __init__(self, program):
        self.program = program

    def commands(self, state, context, tag):
        root = pathlib.Path(tempfile.mkdtemp(prefix="root-", dir=state))
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [[*alone, "sh", "-c", self.SCRIPT, str(root), self.program, str(context), tag, self.flags]]


class LeanKaniko(Kaniko):
    """As it is told to be where its defaults take too much memory, which is where layers are large."""

    name = "kaniko-lean"
    flags = "--compressed-caching=false"
    cases = ("layer",)


def kanikos(program):
    return [kind(os.path.abspath(program)) for kind in (Kaniko, LeanKaniko)] if program else []


KCMP = {"x86_64": 312, "aarch64": 272}[platform.machine()]
KCMP_VM = 1


def borrows_memory(pid, parent):
    """Whether a process still runs in its parent's memory, as one that `vfork` made does: it is in the parent's figure."""
    return ctypes.CDLL(None).syscall(KCMP, int(pid), int(parent), KCMP_VM, 0, 0) == 0


def tree_memory(session):
    """Proportional resident bytes of every process of a session."""
    total = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[3]) != session or borrows_memory(entry, stat[1]):
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


# Removed at the end only: for minutes ext4 gives no inode away that was in use before, and passes over each of them again
# with every file it makes, so that a builder would pay for what the one before it has left.
LEFT = "left"
ENOUGH_ROOM = 20 << 30


def put_away(work, state):
    """Unmounts what a builder left and moves it aside, so that the next build has no local state."""
    mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((m for m in mounts if m.startswith(str(state) + "/")), reverse=True):
        subprocess.run(["umount", "-l", place], check=False, stderr=subprocess.DEVNULL)
    if shutil.disk_usage(work).free < ENOUGH_ROOM:
        remove_left(work)
    (work / LEFT).mkdir(exist_ok=True)
    state.rename(work / LEFT / state.name)


def remove_left(work):
    shutil.rmtree(work / LEFT, ignore_errors=True)


def builds(chosen, builder, context, tag, name, runs):
    """Some builds of one builder, each from no local state."""
    figures = []
    for turn in range(runs):
        state = pathlib.Path(tempfile.mkdtemp(prefix="state-", dir=chosen.work))
        # What the builder before has left to be written is not this one's to wait for.
        os.sync()
        with open(chosen.work / f"{name}-{builder.name}.log", "w") as log:
            figures.append(measure(builder.commands(state, context, f"{tag}-{turn}"), log))
        put_away(chosen.work, state)
    return figures


def medians(runs):
    return {what: statistics.median(run[what] for run in runs) for what in ("wall", "cpu", "memory")}


def side_by_side(chosen, registry, builders):
    """Builds every row with every builder, in turn."""
    figures = {}
    for key in chosen.case or CASES:
        title, write = CASES[key]
        context = pathlib.Path(tempfile.mkdtemp(prefix="context-", dir=chosen.work))
        (context / "Dockerfile").write_text(write(context, registry.host))
        taking_part = [builder for builder in builders if key in getattr(builder, "cases", CASES)]
        rows = {builder.name: [] for builder in taking_part}
        for turn in range(chosen.runs):
            for builder in taking_part:
                tag = f"{registry.host}/{key}-{builder.name}:{turn}"
                rows[builder.name] += builds(chosen, builder, context, tag, key, 1)
        put_away(chosen.work, context)
        figures[key] = rows
        report(title, rows)
    return figures


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--strata", required=True, help="the program to measure (a release build)")
    options.add_argument("--peer", default="buildah", help="the peer's program")
    options.add_argument("--buildkit", action="store_true", help="the BuildKit of Docker's daemon as another peer")
    options.add_argument("--kaniko", help="the executor of kaniko as another peer")
    options.add_argument("--case", action="append", choices=CASES, help="only these (may repeat)")
    options.add_argument("--growth", action="store_true", help="the rows that grow, with strata alone")
    options.add_argument("--grow", action="append", choices=GROWTH, help="only these of them (may repeat)")
    options.add_argument("--largest", type=int, default=100_000, help="leave out sizes above this")
    options.add_argument("--runs", type=int, default=1, help="builds of each builder per case")
    options.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp/strata-benches"))
    options.add_argument("--json", type=pathlib.Path, help="write every figure here")
    chosen = options.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    registry = Registry(chosen.work)
    builders = [Strata(os.path.abspath(chosen.strata)), Buildah(chosen.peer)]
    builders += [BuildKit()] if chosen.buildkit else []
    builders += kanikos(chosen.kaniko)
    figures = {}
    try:
        push_bases(chosen.work, registry.host)
        if chosen.growth or chosen.grow:
            figures = grow(chosen, registry, builders[0])
        else:
            figures = side_by_side(chosen, registry, builders)
    finally:
        registry.close()
        remove_left(chosen.work)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


def report(title, rows):
    print(f"\n{title}")
    by_name = {name: medians(runs) for name, runs in rows.items()}
    for name, median in by_name.items():
        print(f"  {name:11} wall {median['wall']:7.2f} s   cpu {median['cpu']:7.2f} s   memory {median['memory'] / 1e6:7.1f} MB")
    ours = by_name.pop("strata")
    for name, peer in by_name.items():
        ratios = "   ".join(f"{what} {peer[what] / max(ours[what], 1e-9):.2f}" for what in ("wall", "cpu", "memory"))
        print(f"  {name}/strata  {ratios}", flush=True)


if __name__ == "__main__":
    main()
