"""Reads artifact files: what was named, and what a staging directory of recsys-pipelines selects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from pointsman import artifact
from pointsman.artifact import Artifact, user_type
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault, Problem, Refused, trouble_of
from pointsman.files import read_file
from pointsman.intake.staged_tree import ALL_WINDOWS, find_files, is_window, read_artifact, staged_at
from pointsman.repo.snapshot import Snapshot
from pointsman.state import strict_json
from pointsman.state.names import Target, is_name, is_version, short
from pointsman.state.paths import is_target
from pointsman.state.times import window_instant

_BYTES_IN_MEMORY = 256_000_000  # of payloads; a file beyond that is read again when its blob is written


class Source(Struct, frozen=True):
    """One artifact and where it came from."""

    path: str
    artifact: Artifact
    size: int  # bytes of the canonical payload
    types: Mapping[str, UserType | Fault]
    fetch: Callable[[], bytes]  # reads its document again

    @property
    def target(self) -> Target:
        return Target(self.artifact.tenant, self.artifact.surface)

    @property
    def window_end(self) -> tuple[int, int]:
        """When its window ends; comparable."""
        return window_instant(self.artifact.window_end) or (0, 0)

    def payload(self) -> bytes:
        """The canonical payload; Refused if the document has changed since it was first read."""
        if self.artifact.canonical:
            return self.artifact.canonical
        again = artifact.read(self.fetch(), self.path, types=self.types)
        if not isinstance(again, Artifact) or again.version != self.artifact.version:
            says = "it was changed while it was being published: run the command again"
            raise Refused([Fault(self.path, "version-mismatch", says)])
        return again.canonical


class Reading(Struct):
    """The artifacts that were read, and what is wrong with the others. Faults under None name no target."""

    sources: list[Source] = field(default_factory=list)
    faults: dict[Target | None, list[Fault]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, targets: Iterable[Target | None], faults: Iterable[Fault]) -> None:
        """Note faults of some targets; of None if there are none."""
        for target in dict.fromkeys(targets) or (None,):
            self.faults.setdefault(target, []).extend(faults)


def load_types(snapshot: Snapshot) -> Mapping[str, UserType | Fault]:
    """The artifact types that a repository declares in registry/schemas/. A schema that cannot be used is a fault."""
    types = {}
    for name in snapshot.files("registry/schemas"):
        if name.endswith(".schema.json"):
            path = f"registry/schemas/{name}"
            type_name = name.removesuffix(".schema.json")
            types[type_name] = user_type.load(type_name, snapshot.read(path) or b"", path)
    return types


def unlike_main(worktree: Path, main: Snapshot, used: Iterable[str] | None = None) -> list[str]:
    """A note for each schema of a checkout that is not the one of main, by which `publish` and the gate go.

    `used`: only those of these types.
    """
    notes = []
    for file in sorted((worktree / "registry" / "schemas").glob("*.schema.json")):
        name = file.name.removesuffix(".schema.json")
        if used is not None and name not in used:
            continue
        path = f"registry/schemas/{file.name}"
        try:
            here = read_file(file, user_type.MOST_BYTES)
        except OSError:
            continue
        if (there := main.read(path)) != here:
            is_what = "is not on main yet" if there is None else "is not the one on main"
            notes.append(f"{path} of this checkout {is_what}: publish goes by main, so merge it there first")
    return notes


def read_sources(
    paths: Sequence[str], windows: Sequence[str], types: Mapping[str, UserType | Fault], limit: int
) -> Reading:
    """The artifacts under `paths`. `limit`: the most bytes of a payload. Problem if a path has nothing to read."""
    for window in windows:
        if not is_window(window) and window != ALL_WINDOWS:
            raise Problem(f"not a window: {window!r} (write all, or START_END as staged: 2026-03-01_2026-03-02)")
    found = find_files(paths, windows)
    reading = Reading(notes=found.notes)
    for target, fault in found.faults:
        reading.add([target], [fault])
    bytes_read = 0
    for same in found.files:
        placed = [staged.target for path in same if (staged := staged_at(path)) is not None]
        path, read = _read(same, types, limit)
        if not isinstance(read, Artifact):
            reading.add(placed or [_named_in(path, limit)], read)
            continue
        bytes_read += len(read.canonical)
        size = len(read.canonical)
        in_memory_or_not = read if bytes_read <= _BYTES_IN_MEMORY else replace(read, canonical=b"")
        reading.sources.append(Source(path, in_memory_or_not, size, types, partial(read_artifact, path, limit)))
    _find_duplicates(reading)
    return reading


def _find_duplicates(reading: Reading) -> None:
    """Note a fault for each file of a slot whose window ends when that of another file of the slot ends."""
    first: dict[tuple[Target, str, tuple[int, int]], str] = {}
    for source in reading.sources:
        target, slot = source.target, source.artifact.type
        if (known := first.setdefault((target, slot, source.window_end), source.path)) != source.path:
            says = f"{known} is for {target} {slot} and the same window, too: a slot holds one, so leave one out"
            reading.add([target], [Fault(source.path, "duplicate-slot", says)])


def _read(same: Sequence[str], types: Mapping[str, UserType | Fault], limit: int) -> tuple[str, Artifact | list[Fault]]:
    """The artifact in a file, or its faults, and the one of its paths that agrees with it."""
    path = same[0]
    try:
        data = read_artifact(path, limit)
    except Refused as refused:
        return path, refused.faults
    try:
        read = artifact.read(data, path, types=types)
    except Exception as error:  # noqa: BLE001 - it stops its own target
        return path, [Fault(path, "bug", str(trouble_of(error)))]
    if isinstance(read, Fault):
        return path, artifact.every_fault(data, path, read, types)
    wrong = {each: list(_judge(read, each, limit)) for each in same}
    path = min(same, key=lambda each: len(wrong[each]))
    return path, wrong[path] or read


def _named_in(path: str, limit: int) -> Target | None:
    """The target that a document names which cannot be published; None if it names none that can be read."""
    try:
        tree = strict_json.read_exactly(read_artifact(path, limit), path)
    except Refused:
        return None
    names = [tree.get(name) for name in ("tenant", "surface")] if isinstance(tree, dict) else []
    texts = [name for name in names if isinstance(name, str)]
    return Target(*texts) if len(texts) == 2 and is_target(*texts) else None


def unfit(read: Artifact, path: str, limit: int) -> Iterator[Fault]:
    """Why an artifact cannot be published under any file name: wrong names, its size, no version in its build."""
    yield from unstorable(read, path, limit)
    if not read.claimed_version and read.built_at:
        says = f"build.version is empty: the version {read.version} belongs there, which pointsman stamp FILE writes"
        yield Fault(path, "version-mismatch", says)


def unstorable(read: Artifact, path: str, limit: int) -> Iterator[Fault]:
    """Why no version of an artifact can be published: wrong names, or its size."""
    for what, name in (
        ("tenant", read.tenant),
        ("surface", read.surface),
        ("segment", read.segment),
        ("type", read.type),
    ):
        if (name or what != "segment") and not is_name(name):
            grammar = "a name has at most 128 letters, digits, '.', '_', '-', and is not *.lock or *.git"
            says = f"{what} {name!r} cannot be published: {grammar}"
            yield Fault(path, "bad-path", says)
    if read.tenant == "registry":
        yield Fault(path, "bad-path", "a tenant cannot be called 'registry': the serving pointers are there")
    if len(read.canonical) > limit:
        says = f"{len(read.canonical)} bytes, the limit is {limit} ([limits] artifact_bytes): make it smaller"
        yield Fault(path, "too-large", says)


def _judge(read: Artifact, path: str, limit: int) -> Iterator[Fault]:
    yield from unfit(read, path, limit)
    name = os.path.basename(path).removesuffix(".json")
    if is_version(name) and name != read.version:
        says = f"the file name says version {short(name)}, but the content has {short(read.version)}: stage it again"
        yield Fault(path, "version-mismatch", says)
    staged = staged_at(path)
    if staged is not None:
        window = f"{read.window_start[:10]}_{read.window_end[:10]}"
        says = "the staged path says {} {!r}, but the artifact says {!r}: stage it again"
        for what, there, here in (
            ("tenant", staged.tenant, read.tenant),
            ("surface", staged.surface, read.surface),
            ("segment", staged.segment, read.segment),
            ("type", staged.type, read.type),
            ("window", staged.window, window),
        ):
            if there != here:
                yield Fault(path, "wrong-place", says.format(what, there, here))
