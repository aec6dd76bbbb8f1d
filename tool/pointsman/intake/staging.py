"""Reads artifact files: single ones, or a staging directory of recsys-pipelines.

Its layout is `<tenant>/<surface>/<segment>/<type>/<start>_<end>/<version>.json`, with `current.version` beside.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pointsman import artifact
from pointsman.artifact import Artifact, user_type
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault, Problem
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import Target, is_name, is_version, short

_WINDOW = re.compile(r"\d{4}-\d{2}-\d{2}_\d{4}-\d{2}-\d{2}")
_BYTES_IN_MEMORY = 256_000_000  # of payloads; a file beyond that is read again when its blob is written


@dataclass(frozen=True, slots=True)
class Source:
    """One artifact and where it came from."""

    path: str
    artifact: Artifact
    size: int  # bytes of the canonical payload
    types: Mapping[str, UserType]
    fetch: Callable[[], bytes]  # reads its document again

    @property
    def target(self) -> Target:
        return Target(self.artifact.tenant, self.artifact.surface)

    def payload(self) -> bytes:
        """The canonical payload; Problem if the document has changed since it was first read."""
        if self.artifact.canonical:
            return self.artifact.canonical
        again = artifact.read(self.fetch(), self.path, types=self.types)
        if not isinstance(again, Artifact) or again.version != self.artifact.version:
            raise Problem(f"{self.path} was changed while it was being published: run the command again")
        return again.canonical


@dataclass(frozen=True, slots=True)
class Staged:
    """The names in a staged path."""

    tenant: str
    surface: str
    segment: str
    type: str
    window: str
    version: str


def load_types(snapshot: Snapshot) -> Mapping[str, UserType]:
    """The artifact types that a repository declares in registry/schemas/; Problem for a schema that cannot be used."""
    types = {}
    for name in snapshot.files("registry/schemas"):
        if name.endswith(".schema.json"):
            path = f"registry/schemas/{name}"
            loaded = user_type.load(name.removesuffix(".schema.json"), snapshot.read(path) or b"", path)
            if isinstance(loaded, Fault):
                raise Problem(f"{loaded}")
            types[name.removesuffix(".schema.json")] = loaded
    return types


def read_sources(
    paths: Sequence[str], window: str | None, types: Mapping[str, UserType], limit: int
) -> tuple[list[Source], list[Fault], list[str]]:
    """The artifacts under `paths`, the faults, and notes on types that have no file of the chosen window.

    `limit`: the most bytes of a payload. Problem if a path has nothing to read.
    """
    if window is not None and not _WINDOW.fullmatch(window):
        raise Problem(f"not a window: {window!r} (write START_END as staged, such as 2026-03-01_2026-03-02)")
    files, faults, notes = find_files(paths, window)
    sources: list[Source] = []
    bytes_read = 0
    for path in files:
        if (size := os.path.getsize(path)) > 16 * limit:
            says = f"{size} bytes, the limit is {limit} ([limits] artifact_bytes): make it smaller"
            faults.append(Fault(path, "too-large", says))
            continue
        read = artifact.read(read_file(path), path, types=types)
        wrong = [read] if isinstance(read, Fault) else list(_judge(read, path, limit))
        if isinstance(read, Fault) or wrong:
            faults += wrong
            continue
        bytes_read += len(read.canonical)
        size = len(read.canonical)
        in_memory_or_not = read if bytes_read <= _BYTES_IN_MEMORY else replace(read, canonical=b"")
        sources.append(Source(path, in_memory_or_not, size, types, partial(read_file, path)))
    first: dict[tuple[Target, str], str] = {}
    for source in sources:
        slot = (source.target, source.artifact.type)
        if slot in first:
            says = (
                f"{first[slot]} is for {source.target} {source.artifact.type}, too: a slot holds one, so leave one out"
            )
            faults.append(Fault(source.path, "duplicate-slot", says))
        first.setdefault(slot, source.path)
    return sources, faults, notes


def unfit(read: Artifact, path: str, limit: int) -> Iterator[Fault]:
    """Why an artifact cannot be published under any file name: wrong names, its size, no version in its build."""
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
    if not read.claimed_version and read.built_at:
        says = f"build.version is empty: the pipeline must write the version {read.version} there"
        yield Fault(path, "version-mismatch", says)


def _judge(read: Artifact, path: str, limit: int) -> Iterator[Fault]:
    yield from unfit(read, path, limit)
    name = os.path.basename(path).removesuffix(".json")
    if is_version(name) and name != read.version:
        says = f"the file name says version {short(name)}, but the content has {short(read.version)}: stage it again"
        yield Fault(path, "version-mismatch", says)
    staged = _staged(path)
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


def _staged(path: str) -> Staged | None:
    parts = Path(os.path.abspath(path)).parts[-6:]
    if len(parts) < 6 or not _WINDOW.fullmatch(parts[4]) or not is_version(parts[5].removesuffix(".json")):
        return None
    tenant, surface, segment, artifact_type, window, name = parts
    return Staged(tenant, surface, segment, artifact_type, window, name.removesuffix(".json"))


def find_files(paths: Sequence[str], window: str | None) -> tuple[list[str], list[Fault], list[str]]:
    files: list[str] = []
    faults: list[Fault] = []
    notes: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            found = _find_staged(path, window, faults, notes)
            if not found and not faults:
                raise Problem(f"{path} has no staged artifacts" + (f" of window {window}" if window else ""))
            files += found
        elif os.path.isfile(path):
            files.append(path)
        else:
            raise Problem(f"there is no file or directory {path}")
    return list(dict.fromkeys(files)), faults, notes


def _find_staged(root: str, window: str | None, faults: list[Fault], notes: list[str]) -> list[str]:
    plain: list[str] = []
    windows: dict[
        tuple[str, ...], dict[str, dict[str, str]]
    ] = {}  # target → window → type directory → window directory
    for directory, subdirectories, names in os.walk(root, onerror=_unreadable):
        subdirectories.sort()
        parts = Path(os.path.abspath(directory)).parts
        if _WINDOW.fullmatch(parts[-1]) and len(parts) >= 5:
            subdirectories.clear()
            if "current.version" in names or any(name.endswith(".json") for name in names):
                by_window = windows.setdefault(parts[-5:-3], {})
                by_window.setdefault(parts[-1], {})["/".join(parts[-3:-1])] = directory
        elif window is None:
            plain += [os.path.join(directory, name) for name in sorted(names) if name.endswith(".json")]
    for target, by_window in sorted(windows.items()):
        chosen = window or max(by_window, key=lambda name: (name.partition("_")[2], name))
        if chosen not in by_window:
            notes.append(f"{'/'.join(target)}: nothing staged for window {chosen}")
            continue
        types = {name for each in by_window.values() for name in each}
        lacking = sorted(types - by_window[chosen].keys())
        if lacking:
            notes.append(f"{'/'.join(target)}: window {chosen} has no {', '.join(lacking)}: what is current stays")
        plain += [
            file for _, place in sorted(by_window[chosen].items()) if (file := _current(place, faults)) is not None
        ]
    return plain


def _unreadable(error: OSError) -> None:
    raise Problem(f"cannot read {error.filename}: {error.strerror}") from error


def _current(directory: str, faults: list[Fault]) -> str | None:
    """The file that `current.version` names in a window's directory."""
    pointer = os.path.join(directory, "current.version")
    try:
        version = read_file(pointer).decode("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        version = ""
    if not is_version(version):
        faults.append(
            Fault(pointer, "version-mismatch", "no current.version with 64 hex digits here: stage the window again")
        )
        return None
    file = os.path.join(directory, f"{version}.json")
    if not os.path.isfile(file):
        says = f"it names version {short(version)}, but that file is missing: stage the window again"
        faults.append(Fault(pointer, "version-mismatch", says))
        return None
    return file


def read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}") from error
