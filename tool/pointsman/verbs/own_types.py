"""Artifact types of one's own: a schema from examples, and documents with their version filled in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Struct

from pointsman import artifact
from pointsman.artifact import inferring, user_type
from pointsman.artifact.stamping import with_build
from pointsman.durable import make_directory
from pointsman.errors import Fault, Problem, Refused
from pointsman.files import write_new
from pointsman.gate.documents import any_record
from pointsman.intake.staged_tree import UNWRITABLE, find_files, read_artifact
from pointsman.intake.staging import unstorable
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import Settings
from pointsman.state import strict_json
from pointsman.state.documents import rfc3339
from pointsman.state.names import BUILT_IN_TYPES, check_name
from pointsman.values import ArtifactType, TargetName, ToldFault, Version, told
from pointsman.verbs.hash import exit_of, types_at_hand
from pointsman.workspace import system_clock


class NewType(Struct, frozen=True):
    """A schema that fits its examples, and what in it only a person knows."""

    type: ArtifactType
    path: Annotated[str, "the file of the schema, in the checkout"]
    schema: Annotated[Mapping[str, Any], "the JSON Schema"]
    integers: Annotated[Sequence[str], "places of numbers that are integers in all examples"]
    numbers: Annotated[Sequence[str], "places of other numbers"]
    maps: Annotated[Sequence[str], "objects whose names are taken for data, such as ids"]
    unknown: Annotated[Sequence[str], "null, and lists and objects with nothing in them"]
    written: bool


class Stamped(Struct, frozen=True):
    """What became of one file."""

    path: str
    target: TargetName
    type: ArtifactType
    version: Version
    outcome: Literal["stamped", "unchanged"]


class Stamps(Struct, frozen=True):
    """The files that have their version, and what is wrong with the others."""

    files: Sequence[Stamped]
    faults: Sequence[ToldFault]


def new_type(repo: Repository, name: str, examples: Sequence[str], *, dry_run: bool = False) -> Outcome[NewType]:
    """Write a schema for the type `name` that fits all examples into the checkout; Problem if there is one."""
    check_name(name, "type")
    if name.casefold() in BUILT_IN_TYPES:
        raise Problem(f"{name} is a built-in type: choose another name")
    if repo.worktree is None:
        raise Problem("a schema is a file of a checkout: clone the repository, and run this in the clone")
    path = repo.worktree / "registry" / "schemas" / f"{name}.schema.json"
    if path.exists() or path.is_symlink():
        known = repo.last_main()
        record = any_record(Snapshot(repo, known), name) if known is not None else None
        if record is not None:
            says = f"main has records of this type ({record}), so it stays as it is"
            raise Problem(f"{path} is there already, and {says}: declare a new type, under another name")
        raise Problem(f"{path} is there already: change it by hand, or delete it first")
    documents = [_example(file, name) for file in examples]
    found = inferring.infer(name, documents)
    data = (json.dumps(found.schema, indent=2, ensure_ascii=False) + "\n").encode(errors="surrogatepass")
    own = user_type.load(name, data, str(path))
    if isinstance(own, Fault):
        raise Problem(f"no schema can be made from this example: {own.says}")
    for file, document in zip(examples, documents, strict=True):
        if isinstance(misfit := own.body(document, file), Fault):
            raise Problem(f"no schema can be made from {file}: {misfit.says}")
    if not dry_run:
        make_directory(path.parent)
        write_new(path, data)
    places = (found.integers, found.numbers, found.maps, found.unknown)
    return Outcome(NewType(name, str(path), found.schema, *places, not dry_run))


def _example(file: str, name: str) -> dict[str, object]:
    try:
        document = strict_json.read_exactly(read_artifact(file, Settings("").artifact_bytes), file)
    except Refused as refused:
        raise Problem(str(refused)) from refused
    if isinstance(document, Fault):
        raise Problem(str(document))
    if not isinstance(document, dict):
        raise Problem(f"{file} is no JSON object: an artifact is one, with the members of the type in it")
    said = document.get("artifact_type", name)
    if said != name:
        raise Problem(f"{file} says artifact_type {strict_json.shown(said)}, and the type is to be called {name!r}")
    return document


def stamp(
    paths: Sequence[str],
    repo: Repository | None,
    clock: Callable[[], datetime] = system_clock,
    *,
    dry_run: bool = False,
) -> Outcome[Stamps]:
    """Fill in `build.version` of each artifact, and `build.built_at` (the clock's) where it is missing.

    Only `build` is written again; every other byte of a file stays. Files with faults are left, exit 1, and so are
    stored blobs, which no other bytes may replace.
    """
    types, limit, notes = types_at_hand(repo)
    now = int(clock().timestamp())
    found = find_files(paths)
    faults = [fault for _, fault in found.faults]
    done: list[Stamped] = []
    used: set[str] = set()
    for path, *_ in found.files:
        try:
            data = read_artifact(path, limit)
        except Refused as refused:
            faults += refused.faults
            continue
        if os.path.basename(os.path.realpath(path)) == f"{hashlib.sha256(data).hexdigest()}.json":
            says = "this is a stored blob, whose name is the SHA-256 of its bytes: stamp a copy with another name"
            faults.append(Fault(path, "blob-altered", says))
            continue
        build, empty = _emptied(data, path, now)
        read = artifact.read(empty, path, types=types, any_source_hash=True)
        if isinstance(read, Fault):
            faults += artifact.every_fault(empty, path, read, types)
            continue
        if wrong := list(unstorable(read, path, limit)):
            faults += wrong
            continue
        used.add(read.type)
        new = with_build(empty, {**build, "version": read.version})
        same = build.get("version") == read.version and "built_at" in (_build(data, path) or {})
        if not same and not dry_run:
            try:
                _replace(path, new)
            except OSError as error:
                faults.append(Fault(path, UNWRITABLE, f"it cannot be written: {error.strerror}"))
                continue
        outcome: Literal["stamped", "unchanged"] = "unchanged" if same else "stamped"
        done.append(Stamped(path, f"{read.tenant}/{read.surface}", read.type, read.version, outcome))
    return Outcome(Stamps(done, list(map(told, faults))), exit_of(faults), (*found.notes, *notes(used)))


def _build(data: bytes, path: str) -> dict[str, object] | None:
    tree = strict_json.read_exactly(data, path)
    build = tree.get("build") if isinstance(tree, dict) else None
    return build if isinstance(build, dict) else None


def _emptied(data: bytes, path: str, now: int) -> tuple[dict[str, object], bytes]:
    """What a document says in `build`, with a time, and the document with no version there.

    A document that cannot be stamped stays as it is: whoever reads it says what is wrong.
    """
    tree = strict_json.read_exactly(data, path)
    if not isinstance(tree, dict) or not isinstance(tree.get("build", {}), dict):
        return {}, data
    build: dict[str, object] = {"built_at": rfc3339(now), **tree.get("build", {})}
    return build, with_build(data, {**build, "version": ""})


def _replace(path: str, data: bytes) -> None:
    """Put new bytes in the place of a file at once, with its rights."""
    real = os.path.realpath(path)
    other = os.path.join(os.path.dirname(real), f".{secrets.token_hex(6)}.new")  # a long name leaves no room for more
    try:
        write_new(other, data, stat.S_IMODE(os.stat(real).st_mode))
        os.replace(other, real)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(other)
