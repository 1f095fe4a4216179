#!/usr/bin/env python3
"""Builds the same image again with strata and with a peer, from a remote cache and no local state, and prints ratios.

    benches/rebuilds.py --strata target/x86_64-unknown-linux-gnu/release/strata
    benches/rebuilds.py --strata … --case copy --runs 3

Each case is built once to fill the cache. `cached` then builds it as it is, `one file` after one file of the context
has changed. Both push. Needs what side_by_side.py needs.
"""
import argparse
import os
import pathlib
import tempfile

from side_by_side import CASES, Buildah, Registry, Strata, builds, push_bases, put_away, remove_left, report


class CachedStrata(Strata):
    def commands(self, state, context, tag):
        [command] = super().commands(state, context, tag)
        cache = f"{tag.rsplit(':', 1)[0]}-cache:main"
        return [[*command[:-1], "--cache-from", cache, "--cache-to", f"type=registry,ref={cache},mode=max", command[-1]]]


class CachedBuildah(Buildah):
    def commands(self, state, context, tag):
        build, push = super().commands(state, context, tag)
        cache = f"{tag.rsplit(':', 1)[0]}-cache"
        return [[*build[:-1], "--cache-from", cache, "--cache-to", cache, build[-1]], push]


def change(context, turn):
    """Changes one file of the context, another way each turn."""
    files = sorted(path for path in context.rglob("*") if path.is_file() and path.name != "Dockerfile")
    with open(files[len(files) // 2], "a") as file:
        file.write(f"// {turn}\n")


def rebuild(chosen, registry, builders):
    for key in chosen.case:
        title, write = CASES[key]
        rows = {"cached": {}, "one file": {}}
        context = pathlib.Path(tempfile.mkdtemp(prefix="context-", dir=chosen.work))
        (context / "Dockerfile").write_text(write(context, registry.host))
        for builder in builders:
            builds(chosen, builder, context, f"{registry.host}/{key}-{builder.name}:first", key, 1)
        has_files = any(path.name != "Dockerfile" for path in context.iterdir())
        for row in rows:
            if row == "one file" and not has_files:
                continue
            for turn in range(chosen.runs):
                if row == "one file":
                    change(context, turn)
                for builder in builders:
                    tag = f"{registry.host}/{key}-{builder.name}:{turn}"
                    rows[row].setdefault(builder.name, []).extend(builds(chosen, builder, context, tag, key, 1))
            report(f"{title}, {row}", rows[row])
        put_away(chosen.work, context)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--strata", required=True, help="the program to measure (a release build)")
    options.add_argument("--peer", default="buildah", help="the peer's program")
    options.add_argument("--case", action="append", choices=CASES, help="only these (may repeat)")
    options.add_argument("--runs", type=int, default=1, help="rebuilds of each builder per row")
    options.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp/strata-benches"))
    chosen = options.parse_args()
    chosen.case = chosen.case or ["runs", "copy", "stages"]
    chosen.work.mkdir(parents=True, exist_ok=True)
    registry = Registry(chosen.work)
    try:
        push_bases(chosen.work, registry.host)
        rebuild(chosen, registry, [CachedStrata(os.path.abspath(chosen.strata)), CachedBuildah(chosen.peer)])
    finally:
        registry.close()
        remove_left(chosen.work)


if __name__ == "__main__":
    main()
