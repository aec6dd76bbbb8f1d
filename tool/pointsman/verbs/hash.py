"""The version of each artifact, from its document alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from pointsman import artifact
from pointsman.artifact import user_type
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault, Problem, Refused
from pointsman.files import read_file
from pointsman.intake.staged_tree import UNREADABLE, UNWRITABLE, find_files, read_artifact
from pointsman.intake.staging import load_types, unlike_main, unstorable
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import SETTINGS_PATH, Settings, read_settings
from pointsman.values import ArtifactType, TargetName, ToldFault, Version, told

_LARGEST_SETTINGS = 1 << 20  # bytes


class Hashed(Struct, frozen=True):
    """The version of one artifact."""

    path: str
    target: TargetName
    type: ArtifactType
    version: Version


class Hashes(Struct, frozen=True):
    """The artifacts that have a version, and what is wrong with the other files."""

    artifacts: Sequence[Hashed]
    faults: Sequence[ToldFault]


def hash_files(paths: Sequence[str], repo: Repository | None) -> Outcome[Hashes]:
    """The version of every artifact, the documents alone judged. `repo` lends its own types."""
    types, limit, notes = types_at_hand(repo)
    artifacts: list[Hashed] = []
    found = find_files(paths)
    faults = [fault for _, fault in found.faults]
    for path, *_ in found.files:
        try:
            read = artifact.read(read_artifact(path, limit), path, types=types, any_source_hash=True)
            if isinstance(read, Fault):
                faults += artifact.every_fault(read_artifact(path, limit), path, read, types)
        except Refused as refused:
            faults += refused.faults
            continue
        if isinstance(read, Fault):
            continue
        if wrong := list(unstorable(read, path, limit)):
            faults += wrong
            continue
        artifacts.append(Hashed(path, f"{read.tenant}/{read.surface}", read.type, read.version))
    said = (*found.notes, *notes({each.type for each in artifacts}))
    return Outcome(Hashes(artifacts, list(map(told, faults))), exit_of(faults), said)


def exit_of(faults: Sequence[Fault]) -> int:
    """What a command about files ends with: 3 if one cannot be read or written, else 1 if one has a fault."""
    return 3 if any(fault.rule in (UNREADABLE, UNWRITABLE) for fault in faults) else 1 if faults else 0


def types_at_hand(
    repo: Repository | None,
) -> tuple[Mapping[str, UserType | Fault], int, Callable[[Iterable[str]], list[str]]]:
    """The own types of a checkout, else of main, the most bytes of a payload, and what to note of types that are used.

    A note says that `publish` reads another schema: that of main.
    """
    limit = Settings("").artifact_bytes
    if repo is None:
        return {}, limit, lambda _: []
    if repo.worktree is None:
        main = Snapshot(repo, repo.refresh())
        return load_types(main), main.settings().artifact_bytes, lambda _: []
    worktree = repo.worktree
    known = repo.last_main()
    head = Snapshot(repo, known) if known is not None else None
    return (
        _types_of_checkout(worktree),
        _limit_of_checkout(worktree, limit),
        lambda used: unlike_main(worktree, head, used) if head is not None else [],
    )


def _types_of_checkout(worktree: Path) -> Mapping[str, UserType | Fault]:
    """A producer tries a schema out before it is committed: the checkout's files count."""
    types: dict[str, UserType | Fault] = {}
    for file in sorted((worktree / "registry" / "schemas").glob("*.schema.json")):
        name = file.name.removesuffix(".schema.json")
        try:
            types[name] = user_type.load(name, read_file(file, user_type.MOST_BYTES), str(file))
        except OSError as error:
            types[name] = Fault(str(file), "schema", f"it cannot be read: {error.strerror}")
    return types


def _limit_of_checkout(worktree: Path, default: int) -> int:
    """What the settings of a checkout say of the size of artifacts, if they can be read."""
    try:
        return read_settings(read_file(worktree / SETTINGS_PATH, _LARGEST_SETTINGS)).artifact_bytes
    except (OSError, Problem):  # documents alone are judged: other commands say what is wrong with the settings
        return default
