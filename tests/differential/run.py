#!/usr/bin/env python3
"""Builds the same Dockerfiles with strata and with buildah, and compares the images as text.

    tests/differential/run.py --strata target/x86_64-unknown-linux-gnu/release/strata

Each `testdata/differential/*.Dockerfile` is built by both on the same base: a static busybox. Configuration, history and file
tree are printed as lines and compared; times are left out. A difference that is meant stands in `EXPLAINED` with its reason, and
one that does not appear any more is an error too. Needs root and Debian's `buildah busybox-static skopeo`.
"""
import argparse
import difflib
import gzip
import io
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE.parent.parent / "testdata" / "differential"

# (case, what differs): why it is meant.
EXPLAINED = {
    ("archives", "tree"): "--chown gives what an archive holds to that owner, as in BuildKit; buildah keeps the archive's",
    ("*", "history"): "buildah writes one row for several instructions and words of its own; BuildKit's rows are held by "
    "testdata/configs",
    ("shell", "config"): "SHELL also says how CMD and ENTRYPOINT run, as in BuildKit; buildah always gives them /bin/sh",
    ("users", "tree"): "as in `config`: nothing runs in /a/b, and BuildKit makes it all the same",
    ("volumes", "config"): "BuildKit counts a range of EXPOSE out; buildah keeps it as one name",
    ("volumes", "tree"): "buildah makes the directories of VOLUME; BuildKit leaves that to whoever runs the image",
    ("config", "tree"): "buildah makes a WORKDIR when something runs in it; BuildKit makes it at once, for the current USER",
    ("copy", "tree"): "--chmod=640 reaches the directories that are made on the way, as in BuildKit; buildah leaves them at 755",
    ("run", "tree"): "an overlay copies a file up alone, so that a hard link of a lower layer keeps its old owner and mode, as with "
    "BuildKit; the vfs storage used for buildah here copies whole roots",
}

FIELDS = ["User", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels", "ExposedPorts", "Volumes", "StopSignal", "Shell", "Healthcheck", "OnBuild"]


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def base(place):
    """A root with a busybox, users and two directories."""
    place.mkdir()
    for name in ("bin", "etc", "tmp", "home/app"):
        (place / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", place / "bin" / "busybox")
    (place / "tmp").chmod(0o1777)
    for applet in ("sh", "cat", "echo", "mkdir", "touch", "rm", "ln", "chmod", "chown", "cp", "mv", "id", "test"):
        (place / "bin" / applet).symlink_to("busybox")
    (place / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
    (place / "etc" / "group").write_text("root:x:0:\napp:x:1000:\nextra:x:2000:app\n")


def context(place):
    files = {"one": "1\n", "two.txt": "2\n", "dir/a": "a\n", "dir/b.md": "b\n", "dir/sub/c": "c\n", ".dockerignore": "ignored\n", "ignored": "x\n"}
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (place / "link").symlink_to("one")
    (place / "script.sh").write_text("#!/bin/sh\n")
    (place / "script.sh").chmod(0o755)
    with tarfile.open(place / "archive.tar.gz", "w:gz") as tar:
        entry = tarfile.TarInfo("inside/file")
        entry.size, entry.mode, entry.uid = 2, 0o640, 7
        tar.addfile(entry, io.BytesIO(b"x\n"))


def flatten(layout, inner=None):
    """Configuration, history and tree of the only image of an OCI layout; `inner` replaces its own settings."""

    def blob(descriptor):
        return (layout / "blobs" / descriptor["digest"].replace(":", "/", 1)).read_bytes()

    document = json.loads((layout / "index.json").read_text())
    while "manifests" in document:
        document = json.loads(blob(document["manifests"][0]))
    config = json.loads(blob(document["config"]))
    tree = {}
    for layer in document["layers"]:
        data = blob(layer)
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for entry in tar:
                name = entry.name.removeprefix("./").strip("/")
                parent, _, last = name.rpartition("/")
                if last.startswith(".wh."):
                    gone = f"{parent}/{last[4:]}".strip("/")
                    opaque = last == ".wh..wh..opq"
                    below = (parent if opaque else gone) + "/"
                    tree = {p: n for p, n in tree.items() if not p.startswith(below) and (opaque or p != gone)}
                    continue
                kind = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "same"}.get(entry.type, "file")
                if kind == "same":
                    tree[name] = tree.get(entry.linkname.removeprefix("./").strip("/"), ["broken link"])
                    continue
                text = f"{kind} {entry.mode & 0o7777:o} {entry.uid}:{entry.gid}"
                if kind == "link":
                    text = f"link {entry.uid}:{entry.gid} {entry.linkname}"
                if kind == "file":
                    text += " " + repr(tar.extractfile(entry).read()[:60])
                if kind != "dir":
                    tree = {p: n for p, n in tree.items() if not p.startswith(name + "/")}
                # A list of its own: names of one file share it.
                tree[name] = [text]
    inner = inner or config.get("config") or {}
    settings = []
    for field in FIELDS:
        value = inner.get(field)
        if field == "Labels" and value:
            value = {k: v for k, v in value.items() if not k.startswith("io.buildah")}
        if field == "Env" and value:
            value = sorted(value)
        if value not in (None, "", [], {}) and (field, value) != ("WorkingDir", "/"):
            settings.append(f"{field}={json.dumps(value, sort_keys=True)}")
    history = [f"{row.get('created_by', '')} {bool(row.get('empty_layer'))}" for row in config.get("history", [])]
    names = sorted(name for name in tree if name and name not in ("proc", "sys", "dev", "run", "etc/hosts", "etc/hostname", "etc/resolv.conf"))
    same = {}
    for name in names:
        same.setdefault(id(tree[name]), []).append(name)
    lines = []
    for name in names:
        first = same[id(tree[name])][0]
        lines.append(f"/{name} {tree[name][0]}" + (f" = /{first}" if first != name else ""))
    return {"config": settings, "history": history, "tree": lines}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--strata", required=True)
    options.add_argument("--buildah", default="buildah")
    options.add_argument("--only", help="names of cases, with commas")
    chosen = options.parse_args()
    strata = str(pathlib.Path(chosen.strata).resolve())
    work = pathlib.Path(tempfile.mkdtemp(prefix="differential-"))
    storage = [chosen.buildah, "--root", work / "root", "--runroot", work / "run", "--storage-driver", "vfs"]
    # Without CAP_SYS_RESOURCE buildah may not raise limits; it is told to keep those it has.
    processes = min(resource.getrlimit(resource.RLIMIT_NPROC)[1], 32768)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    failures, seen = 0, set()
    try:
        base(work / "base")
        place = work / "context"
        place.mkdir()
        context(place)
        (work / "base.Dockerfile").write_text("FROM scratch\nCOPY . /\nENV PATH=/bin\n")
        run(strata, "build", "--state-dir", work / "state", "-f", work / "base.Dockerfile", "-o", f"type=oci,dest={work}/base.tar", "-t", "base:1", work / "base")
        run(strata, "build", "--state-dir", work / "state", "-f", work / "base.Dockerfile", "-t", "localhost/base:1", work / "base")
        run("skopeo", "copy", "-q", f"oci-archive:{work}/base.tar", f"containers-storage:[vfs@{work}/root+{work}/run]localhost/base:1")
        for file in sorted(CASES.glob("*.Dockerfile")):
            name = file.stem
            if chosen.only is not None and name not in chosen.only.split(","):
                continue
            run(strata, "build", "--state-dir", work / "state", "--no-cache", "-f", file, "-o", f"type=oci,dest={work}/{name}-s/", place)
            run(*storage, "bud", "--isolation", "chroot", "--pull-never", "--layers", "--format", "docker", "--ulimit", f"nproc={processes}:{processes}",
                "--ulimit", f"nofile={files}:{files}", "-f", file, "-t", f"localhost/{name}:1", place)
            run(*storage, "push", "-q", f"localhost/{name}:1", f"oci:{work}/{name}-b:1")
            # buildah leaves HEALTHCHECK, ONBUILD and SHELL out of what it pushes as OCI; its own record has them.
            record = run(*storage, "inspect", "--type", "image", f"localhost/{name}:1")
            ours, theirs = flatten(work / f"{name}-s"), flatten(work / f"{name}-b", json.loads(record)["Docker"]["config"])
            for what in ours:
                if ours[what] == theirs[what]:
                    continue
                known = next((key for key in ((name, what), ("*", what)) if key in EXPLAINED), None)
                if known:
                    seen.add(known)
                    continue
                failures += 1
                print(f"{name}: {what} differs (- buildah, + strata)")
                print("\n".join(difflib.unified_diff(theirs[what], ours[what], lineterm="", n=0)))
            print(f"{name}: compared", flush=True)
    finally:
        subprocess.run([*storage, "rmi", "-a", "-f"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(work, ignore_errors=True)
    if chosen.only is None:
        for key in EXPLAINED.keys() - seen:
            failures += 1
            print(f"explained, but not seen any more: {key}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
