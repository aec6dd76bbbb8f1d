"""What a power cut would leave, judged from the system calls of a real run: nothing is named before it is on the disk.

A model of a disk that keeps what was fsynced and nothing else reads the trace: bytes are safe once their file was
fsynced, names once their directory was.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest
import world
from world import SHAPES, Templates, World

from pointsman.repo.packs import MOST_PACKS

CALLS = "openat,mkdir,mkdirat,link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync,write,chdir"
TRACED = {  # verb → the stage that it starts from
    "publish --merge": "nothing",  # every directory is new
    "sync": "day 1 merged",
    "rollback --now": "day 2 served",
}
POINTER = "registry/current/grocer/home/manifest.json"
FENCE = "registry/current/.pointsman/sync.json"


# the trace


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that succeeded, its paths absolute; `old` is what a link or a rename took."""

    name: str
    path: str
    old: str = ""
    creates: bool = False


_LINE = re.compile(r"(\d+)\s+(.*)")
_WHOLE = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)(?:<(.*?)>(?:\(deleted\))?)?(?: .*)?")
_DIRECTORY = r'(?:AT_FDCWD|\d+)<([^">]*)>(?:\(deleted\))?, '
_NAME = r'"((?:[^"\\]|\\.)*)"'


def read(trace: Iterable[str]) -> list[Call]:
    """The calls in the order in which they may be relied on: an fsync when it has ended, all else when it began."""
    waiting: dict[str, tuple[int, str]] = {}
    whole: list[tuple[int, str, str]] = []
    for place, line in enumerate(trace):
        found = _LINE.match(line)
        assert found, line
        pid, text = found.groups()
        began = place
        if text.endswith("<unfinished ...>"):
            waiting[pid] = (place, text.removesuffix("<unfinished ...>"))
            continue
        if text.startswith("<... "):
            began, start = waiting.pop(pid)
            text = start + text.partition(" resumed>")[2]
        whole.append((place if text.startswith(("fsync", "fdatasync")) else began, pid, text))
    homes: dict[str, str] = {}
    return [call for _, pid, text in sorted(whole) for call in _parse(text, pid, homes)]


def _parse(text: str, pid: str, homes: dict[str, str]) -> Iterator[Call]:
    found = _WHOLE.fullmatch(text)
    if found is None or int(found[3]) < 0:
        return  # a signal, an exit, or a call that changed nothing
    name, arguments, _, opened = found.groups()
    if home := re.search(r"AT_FDCWD<([^>]*)>", arguments):
        homes[pid] = home[1]

    def absolute(path: str, directory: str | None = None) -> str:
        return os.path.normpath(os.path.join(directory or homes.get(pid, "/"), path))

    names = re.findall(_NAME, arguments)
    match name:
        case "chdir":
            homes[pid] = absolute(names[0])
        case "openat":
            if "O_CREAT" in arguments or "O_TMPFILE" in arguments:
                yield Call("open", opened, creates="O_CREAT" in arguments)
        case "write" | "fsync" | "fdatasync":
            file = re.match(r"\d+<(.*?)>", arguments)
            if file and file[1].startswith("/"):
                yield Call("write" if name == "write" else "fsync", file[1])
        case "mkdir" | "rmdir" | "unlink":
            yield Call(name, absolute(names[0]))
        case "link" | "rename":
            yield Call(name, absolute(names[1]), absolute(names[0]))
        case _:  # the calls that name directories too
            places = re.findall(_DIRECTORY + _NAME, arguments)
            paths = [absolute(path, directory) for directory, path in places]
            if name == "linkat" and places[0][1].startswith("/proc/self/fd/"):
                paths[0] = places[0][0]
            kind = {"unlinkat": "rmdir" if "AT_REMOVEDIR" in arguments else "unlink"}.get(name, name.rstrip("at2"))
            yield Call(kind.removesuffix("at"), paths[-1], paths[0] if len(paths) > 1 else "")


# the disk


@dataclass(slots=True)
class File:
    """One inode that the run wrote to."""

    safe: bool = True


@dataclass(slots=True)
class Disk:
    """What would survive a power cut: contents and names that were fsynced."""

    files: dict[str, File] = field(default_factory=dict)
    loose: dict[str, set[str]] = field(default_factory=dict)  # directory → names changed and not yet fsynced

    def see(self, call: Call) -> None:
        match call.name:
            case "open":
                if call.path not in self.files:
                    self.files[call.path] = File()
                    if call.creates:
                        self._name(call.path)
            case "write":
                self.files.setdefault(call.path, File()).safe = False
            case "fsync":
                self.files.setdefault(call.path, File()).safe = True
                self.loose.pop(call.path, None)
            case "link":
                self.files[call.path] = self.files.setdefault(call.old, File())
                self._name(call.path)
            case "rename":
                for path in [path for path in self.files if path == call.old or path.startswith(f"{call.old}/")]:
                    self.files[call.path + path.removeprefix(call.old)] = self.files.pop(path)
                self._name(call.old)
                self._name(call.path)
            case "mkdir":
                self._name(call.path)
            case "unlink" | "rmdir":
                self.files.pop(call.path, None)
                self.loose.pop(call.path, None)
                self._name(call.path)

    def _name(self, path: str) -> None:
        self.loose.setdefault(os.path.dirname(path), set()).add(os.path.basename(path))

    def unsafe_bytes(self, root: Path) -> list[str]:
        return [path for path, file in self.files.items() if _below(path, root) and not file.safe]

    def unsafe_names(self, root: Path) -> list[str]:
        """Names below `root` (and its own) whose directory was not fsynced after the change."""
        changed = [f"{directory}/{name}" for directory, names in self.loose.items() for name in names]
        return [path for path in changed if _below(path, root)]


def _below(path: str, root: Path) -> bool:
    if re.search(r"[/]tmp_(obj|pack|idx|rev)|\.lock(/|$)|/logs(/|$)|/FETCH_HEAD$|\.pointsman/(next|lock)$", path):
        return False  # git's and our own scratch, which nobody reads after a power cut
    return PurePosixPath(path).is_relative_to(root)


def lost(there: World, calls: Iterable[Call]) -> list[str]:
    """Everything that a power cut at some instant of the run would leave pointing at nothing, or lose in the end."""
    disk = Disk()
    found: list[str] = []
    own = there.where == there.origin
    refs, objects = there.origin / "refs" / "heads", there.origin / "objects"
    fenced = False

    def need(what: str, paths: list[str]) -> None:
        found.extend(f"{what}: {path}" for path in paths)

    for call in calls:
        if call.name == "rename" and PurePosixPath(call.path).is_relative_to(refs):
            at = f"when {call.path} moved"
            need(f"{at}, bytes of the ref itself", [] if disk.files[call.old].safe else [call.old])
            need(f"{at}, bytes of objects", disk.unsafe_bytes(objects))
            if own:
                need(f"{at}, names of objects", disk.unsafe_names(objects))
            need(f"{at}, bytes of blobs", disk.unsafe_bytes(there.store))
            need(f"{at}, names of blobs", disk.unsafe_names(there.store))
        if call.name == "unlink" and call.path.endswith(".idx") and _below(call.path, objects):
            others = [path for path in disk.unsafe_names(objects) if path in disk.files]
            need(f"when {call.path} went, what took its place", disk.unsafe_bytes(objects) + others)
        if call.name in ("link", "rename") and _below(call.path, there.store):
            at = f"when {call.path} got its name"
            need(f"{at}, its bytes", [] if disk.files[call.old].safe else [call.old])
            if call.path == f"{there.store}/{FENCE}":
                fenced = True
            elif call.path == f"{there.store}/{POINTER}":
                need(f"{at}, the fence", disk.unsafe_names(there.store / FENCE) if fenced else ["was not moved"])
        if call.name == "mkdir" and _below(call.path, there.store):
            need(f"when {call.path} was made, its parent", disk.unsafe_names(Path(call.path).parent))
        disk.see(call)
    for root in (objects, there.origin / "refs", there.origin / "packed-refs", there.store):
        need("in the end, bytes", disk.unsafe_bytes(root))
        need("in the end, names", disk.unsafe_names(root))
    return found


def watched(out: Path, *command: str, fails: bool = False) -> list[Call]:
    """Run a command under the tracer, which writes to `out`: its calls."""
    tracing = [world.tracer(), "-f", "-y", "-s", "0", "-o", str(out), "-e", f"trace={CALLS}"]
    assert bool(subprocess.run([*tracing, *command], check=False).returncode) == fails
    return read(out.read_text(errors="surrogateescape").splitlines())


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], tuple[World, list[Call]]]:
    """Run a verb in a world of a shape under the tracer, once: the world as it is then, and its calls."""
    strace = world.tracer()
    shelves = {shape: Templates(tmp_path_factory.mktemp("shelf"), shape) for shape in SHAPES}
    known: dict[tuple[str, str], tuple[World, list[Call]]] = {}

    def run(shape: str, name: str) -> tuple[World, list[Call]]:
        if (shape, name) not in known:
            there = shelves[shape].at(TRACED[name])
            out = there.root / "trace"
            command = [strace, "-f", "-y", "-s", "0", "--seccomp-bpf", "-o", str(out), "-e", f"trace={CALLS}"]
            python = [sys.executable, world.__file__, str(there.where), name]
            env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            subprocess.run([*command, *python], check=True, env=env)
            known[shape, name] = there, read(out.read_text(errors="surrogateescape").splitlines())
        return known[shape, name]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("shape,name", world.shapes_and(TRACED))
def test_nothing_is_named_before_it_is_on_the_disk_and_all_of_it_is_when_the_command_returns(
    traced: Callable[[str, str], tuple[World, list[Call]]], shape: str, name: str
) -> None:
    there, calls = traced(shape, name)
    wrote = [call.path for call in calls if call.name in ("link", "rename")]
    wanted = {
        "publish --merge": ("/origin.git/refs/heads/main", "/store/grocer/home/popularity/"),
        "sync": (f"/store/{FENCE}", f"/store/{POINTER}"),
        "rollback --now": ("/origin.git/refs/heads/main",),
    }
    for part in wanted[name]:
        assert any(part in path for path in wrote), f"the trace does not show {part}"
    assert not lost(there, calls)


@pytest.mark.slow
def test_without_any_one_kind_of_fsync_something_would_be_lost(
    traced: Callable[[str, str], tuple[World, list[Call]]],
) -> None:
    kinds = {
        "publish --merge": (
            r"/store/grocer/home/popularity/#\d+$",
            r"/store/grocer/home/popularity$",
            r"/store/grocer/home$",
            r"/store/grocer$",
            r"/store$",
            r"/objects/pack/tmp_pack_\w+$",
            r"/objects/pack/tmp_idx_\w+$",
            r"/objects/pack$",
            r"/refs/heads/main\.lock$",
            r"/refs/heads/ship/grocer/home/\w+\.lock$",
            r"/refs/heads$",
        ),
        "sync": (r"/\.pointsman/next$", r"/registry/current/\.pointsman$", r"/registry/current/grocer/home$"),
    }
    for name, patterns in kinds.items():
        there, calls = traced(SHAPES[0], name)
        for pattern in patterns:
            kept = [call for call in calls if call.name != "fsync" or not re.search(pattern, call.path)]
            assert len(kept) < len(calls), f"{name} never fsyncs {pattern}"
            assert lost(there, kept), f"nobody would notice if {name} left out the fsync of {pattern}"


@pytest.mark.slow
@pytest.mark.parametrize("settles", [True, False])
def test_a_branch_that_was_made_in_passing_is_durable_once_it_is_settled(tmp_path: Path, *, settles: bool) -> None:
    there = World(tmp_path / "world", SHAPES[0])
    there.make()
    program = (
        "import sys; from pointsman.repo.open import open_repository; from pointsman.repo.moves import Move\n"
        "with open_repository(sys.argv[1]) as repo:\n"
        "    main = repo.refresh()\n"
        "    commit = repo.commit(repo.tree_with(repo.tree_of(main), {'a/b': b'c'}), [main], 'a ship')\n"
        "    repo.move([Move('refs/heads/ship/grocer/home/1', commit, None)], passing=True)\n"
        "    if sys.argv[2] == 'True': repo.settle()\n"
    )
    disk = Disk()
    for call in watched(tmp_path / "trace", sys.executable, "-c", program, str(there.where), str(settles)):
        disk.see(call)
    assert not disk.unsafe_bytes(there.origin / "objects")
    assert not disk.unsafe_names(there.origin / "objects")
    assert bool(disk.unsafe_names(there.origin / "refs")) != settles


@pytest.mark.slow
def test_no_pack_goes_before_the_pack_that_has_its_objects_is_on_the_disk(tmp_path: Path) -> None:
    there = World(tmp_path / "world", SHAPES[0])
    there.make()
    program = (
        "import sys; from pointsman.repo.open import open_repository; from pointsman.repo.moves import Move\n"
        "with open_repository(sys.argv[1]) as repo:\n"
        "    for number in range(int(sys.argv[2])):\n"
        "        main = repo.refresh()\n"
        "        tree = repo.tree_with(repo.tree_of(main), {'a/b': sys.argv[2].encode() + bytes([number])})\n"
        "        repo.move([Move('refs/heads/main', repo.commit(tree, [main], 'a commit'), main)])\n"
    )
    command = [sys.executable, "-c", program, str(there.where)]
    subprocess.run([*command, str(MOST_PACKS)], check=True)
    calls = watched(tmp_path / "trace", *command, "1")
    assert sum(call.name == "unlink" and call.path.endswith(".pack") for call in calls) >= MOST_PACKS // 2
    assert not lost(there, calls)
    for kind in (r"/objects/pack/tmp_pack_\w+$", r"/objects/pack/tmp_idx_\w+$", r"/objects/pack$"):
        first = next(place for place, call in enumerate(calls) if call.name == "fsync" and re.search(kind, call.path))
        assert lost(there, calls[:first] + calls[first + 1 :])


@pytest.mark.slow
def test_a_branch_whose_merge_the_origin_refuses_is_durable_when_the_command_returns(tmp_path: Path) -> None:
    there = World(tmp_path / "world", SHAPES[1])
    there.make()
    command = [
        sys.executable,
        "-m",
        "pointsman",
        "-C",
        str(there.where),
        "publish",
        *world.artifact_files(world.DAYS[0]),
    ]
    subprocess.run([*command, "--record-only"], check=True)
    hook = there.origin / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    calls = watched(tmp_path / "trace", *command, "--merge", fails=True)
    assert any(ref.startswith("ship/grocer/home/") for ref in world.git(there.origin, "branch").split())
    disk = Disk()
    for call in calls:
        disk.see(call)
    assert not disk.unsafe_names(there.origin / "refs")
