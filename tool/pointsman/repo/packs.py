"""The packs that publishes leave, a small one each: git looks into every pack, so many become one.

Git's own upkeep rewrites a whole repository, or takes loose objects along, of which there may be millions. Here only
small packs are joined, so that a publish that does it takes hardly longer than the others.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pointsman.durable import sync_directory
from pointsman.errors import Problem
from pointsman.repo.process import Runner

MOST_PACKS = 32  # small ones; git itself repacks everything at 50 of any size (gc.autoPackLimit)
_LARGE = 1 << 24  # bytes: such a pack stays as it is, so that nobody waits long for a join
_PLAIN = {".pack", ".idx", ".rev"}  # what belongs to a pack of objects and nothing more
_COVERS_ALL = "multi-pack-index"  # names packs, which then must stay


def has_room(git: Runner, git_dir: Path) -> bool:
    """Whether one more pack may come. If there are too many, the small ones are joined first."""
    directory = git_dir / "objects" / "pack"
    packs = _small_packs(directory)
    if len(packs) < MOST_PACKS:
        return True
    return not (directory / _COVERS_ALL).exists() and _join(git, directory, _worth_joining(packs))


def _small_packs(directory: Path) -> dict[str, int]:
    """Name without suffix → bytes of each small pack that nothing holds: no .keep, no .promisor, no bitmap."""
    parts: dict[str, set[str]] = {}
    sizes: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            name, suffix = os.path.splitext(entry.name)
            if name.startswith("pack-"):
                parts.setdefault(name, set()).add(suffix)
                if suffix == ".pack":
                    with contextlib.suppress(FileNotFoundError):
                        sizes[name] = entry.stat().st_size
    return {name: size for name, size in sizes.items() if size < _LARGE and ".idx" in parts[name] <= _PLAIN}


def _worth_joining(packs: dict[str, int]) -> list[str]:
    """The smaller half, and each that is not larger than all smaller ones together.

    So a pack is written again only when it doubles.
    """
    joined: list[str] = []
    total = 0
    for name, size in sorted(packs.items(), key=lambda pack: (pack[1], pack[0])):
        if len(joined) >= len(packs) // 2 and size > total:
            break
        joined.append(name)
        total += size
    return joined


def _join(git: Runner, directory: Path, names: list[str]) -> bool:
    """Make one pack of several. False if that failed: another process may have joined them, or may not be allowed to.

    Nothing is deleted before the new pack, with each object of the old ones, is durable.
    """
    given = "".join(f"{name}.pack\n" for name in names).encode()
    words = ("pack-objects", "--stdin-packs", "--delta-base-offset", "-q", str(directory / "pack"))
    try:
        ran = git.run(*words, given=given)
    except Problem:
        return False
    made = f"pack-{ran.out.decode(errors='replace').strip()}"
    if ran.code != 0 or not (directory / f"{made}.idx").exists():
        return False
    sync_directory(directory)
    with contextlib.suppress(OSError):
        for name in names:
            if name != made:
                for suffix in (".idx", ".rev", ".pack"):  # without its index git does not see a pack
                    (directory / f"{name}{suffix}").unlink(missing_ok=True)
        return True
    return False
