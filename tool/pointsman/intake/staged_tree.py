"""Finds the artifact files below a staging directory of recsys-pipelines, or in any other directory.

The layout is `<tenant>/<surface>/<segment>/<type>/<start>_<end>/<version>.json`, with `current.version` beside. Of an
artifact without a segment recsys-pipelines leaves that directory out, too.
Symlinks are followed as long as they stay below the directories that were named. So a directory may have several
paths, and is read once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from pointsman.errors import Fault, Problem, Refused
from pointsman.files import NoPlainFile, TooLong, open_file, read_file, read_upto, why
from pointsman.patterns import pattern
from pointsman.settings import SETTINGS_PATH
from pointsman.state.names import Target, is_version, short
from pointsman.state.paths import is_target
from pointsman.state.suggest import did_you_mean

_WINDOW = pattern(r"\d{4}-\d{2}-\d{2}_\d{4}-\d{2}-\d{2}")
UNREADABLE = "unreadable"  # the rule that a file breaks which cannot be read
UNWRITABLE = "unwritable"  # and one that cannot be written
TIMES_LARGER = 16  # than its canonical payload may a file be
_LONGEST_POINTER = 1024  # bytes of a current.version
_NAMES = 3  # of windows that are asked for
_LONGEST_BEGINNING = 2048  # bytes of an artifact
_BEGINNING = pattern(rb'"tenant":\s*"([ -!#-\[\]-~]*)",\s*"surface":\s*"([ -!#-\[\]-~]*)"')


class Staged(Struct, frozen=True):
    """The names in a staged path."""

    tenant: str
    surface: str
    segment: str
    type: str
    window: str

    @property
    def target(self) -> Target | None:
        """The target that the path names; None if these are no names of one."""
        return Target(self.tenant, self.surface) if is_target(self.tenant, self.surface) else None


class Found(Struct):
    """The files, each with all its paths, and what cannot be read, with the target that its place names."""

    files: list[tuple[str, ...]] = field(default_factory=list)
    faults: list[tuple[Target | None, Fault]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


ALL_WINDOWS = "all"


def is_window(text: str) -> bool:
    """Whether it is START_END, as a staging directory has it."""
    return _WINDOW.fullmatch(text) is not None


def staged_at(path: str) -> Staged | None:
    """The names in the path of a staged file; None if it is not in such a place."""
    parts = Path(os.path.abspath(path)).parts[-6:]
    if len(parts) < 6 or not is_version(parts[5].removesuffix(".json")):
        return None
    return _staged_in(os.path.dirname(path))


def _staged_in(directory: str) -> Staged | None:
    """The names in the path of a window's directory; None if it is no such place."""
    if not _is_place(directory):
        return None
    above, tenant, surface, artifact_type, window = Path(os.path.abspath(directory)).parts[-5:]
    said = _said_in(directory)
    if said == (tenant, surface) != (above, tenant):
        return Staged(tenant, surface, "", artifact_type, window)
    return Staged(above, tenant, surface, artifact_type, window)


def _is_place(directory: str) -> bool:
    """Whether a path is that of a window's directory."""
    parts = Path(os.path.abspath(directory)).parts[-5:]
    return len(parts) == 5 and is_window(parts[4]) and parts[0] != os.sep


def _said_in(directory: str) -> tuple[str, str] | None:
    """Tenant and surface, as an artifact in a directory begins, if recsys-pipelines wrote it."""
    with suppress(OSError):
        for name in sorted(os.listdir(directory)):
            if name.endswith(".json"):
                found = _BEGINNING.search(_beginning(os.path.join(directory, name), _LONGEST_BEGINNING))
                return (found[1].decode(), found[2].decode()) if found is not None else None
    return None


def find_files(paths: Sequence[str], windows: Sequence[str] = ()) -> Found:
    """The files that are named, and those below the directories that are named. Problem if a path has nothing.

    `windows`: those to take of a staging directory; by default the newest of each target.
    """
    found = Found()
    roots = [os.path.realpath(path) for path in paths if os.path.isdir(path)]
    files: dict[str, list[str]] = {}  # real path → its paths
    for path in paths:
        if os.path.isdir(path):
            tree = _Tree(path, roots, found)
            there = list(tree.files(windows))
            if not there and not found.faults:
                left_out = f"; {found.notes[-1]}" if found.notes else ""
                if windows and tree.staged:
                    left_out = did_you_mean(windows[-1], sorted(tree.staged, reverse=True), most=_NAMES)
                of_windows = f" of window {', '.join(windows)}" if windows else ""
                raise Problem(f"{path} has no staged artifacts{of_windows}{left_out}")
        elif not os.path.isfile(path) and _is_missing(path):
            raise Problem(f"there is no file or directory {path or repr(path)}")
        else:
            there = [path]  # reading it says what is wrong with it
        for file in there:
            known = files.setdefault(os.path.realpath(file), [])
            known += [file] if file not in known else []
    found.files = [tuple(same) for same in files.values()]
    return found


def _is_missing(path: str) -> bool:
    """Whether nothing stands at a path, as far as can be seen."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError:
        return False
    return False


def read_artifact(path: str, limit: int) -> bytes:
    """The bytes of an artifact whose payload may have `limit`. Refused if it cannot be read or is much longer."""
    try:
        return read_file(path, TIMES_LARGER * limit)
    except NoPlainFile as error:
        says = f"{why(error)}: stage the artifact itself"
        raise Refused([Fault(path, UNREADABLE, says)]) from error
    except TooLong as error:
        says = (
            f"more than {TIMES_LARGER * limit} bytes, the limit is {limit} ([limits] artifact_bytes): make it smaller"
        )
        raise Refused([Fault(path, "too-large", says)]) from error
    except OSError as error:
        says = f"it cannot be read ({error.strerror}): make it readable, or leave it out"
        raise Refused([Fault(path, UNREADABLE, says)]) from error


def _beginning(path: str, most: int) -> bytes:
    """The first bytes of a regular file; none if it cannot be read."""
    try:
        fd, _ = open_file(path)
    except OSError:
        return b""
    with open(fd, "rb", buffering=0):
        return read_upto(fd, most)[:most]


class _Tree:
    """One directory that was named, and what its links lead to. `roots`: all that were named, as real paths."""

    def __init__(self, root: str, roots: Sequence[str], found: Found) -> None:
        self.root = root
        self.roots = roots
        self.found = found
        self._plain: dict[str, list[str]] = {}  # real directory → .json files that are in no window's directory
        self.staged: set[str] = set()  # the names of the windows of all targets
        self._windows: list[tuple[str, str]] = []  # path and real path of a window's directory; "" if that is outside

    def files(self, windows: Sequence[str]) -> Iterator[str]:
        """The .json files, and of each target the files of `windows`, or else of the newest window there is."""
        self._walk()
        real_windows = {real for _, real in self._windows}
        for directory, files in self._plain.items():
            if (not windows or ALL_WINDOWS in windows) and directory not in real_windows:
                yield from files
        yield from self._current_files(windows)

    def _walk(self) -> None:
        """Walk all directories, and then what links lead to: no directory twice, so that a circle ends."""
        links = deque(self._below(self.root, os.path.realpath(self.root), set()))
        seen: set[str] = set()
        while links:
            link = links.popleft()
            real = self._inside(link)
            if _is_place(link):
                self._windows.append((link, real or ""))
            elif real is not None:
                links += self._below(link, real, seen)
            elif link.endswith(".json"):
                self._leads_out(link)
            else:
                self.found.notes.append(f"left out: {self._says_of_link(link)}")

    def _below(self, directory: str, real: str, seen: set[str]) -> list[str]:
        """Note the files and the windows below a directory. Returns the links that lead to no file."""
        links: list[str] = []
        coming = [(directory, real)]
        while coming:
            directory, real = coming.pop()
            if real in seen:
                continue
            seen.add(real)
            if _is_place(directory):
                self._windows.append((directory, real))
                continue
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError as error:
                self._unreadable(directory, error)
                continue
            if any(entry.name == SETTINGS_PATH for entry in entries):
                self._manifest_repository(directory)
                continue
            coming += [
                (entry.path, os.path.join(real, entry.name)) for entry in reversed(entries) if _is_directory(entry)
            ]
            links += [entry.path for entry in entries if entry.is_symlink() and not os.path.isfile(entry.path)]
            for entry in entries:
                if entry.name.endswith(".json") and not entry.is_symlink() and not _is_directory(entry):
                    self._plain.setdefault(real, []).append(entry.path)
                elif entry.name.endswith(".json") and os.path.isfile(entry.path):
                    if (there := self._inside(entry.path)) is None:
                        self._leads_out(entry.path)
                    else:
                        self._plain.setdefault(os.path.dirname(there), []).append(entry.path)
        return links

    def _manifest_repository(self, directory: str) -> None:
        """Its tool has the samples of `demo`, and its store may be in it: nothing of that is meant for a ship."""
        if directory == self.root:
            says = "name the files, or the directory that they are in"
            raise Problem(f"{directory} is a manifest repository, and no directory of artifacts: {says}")
        self.found.notes.append(f"left out: {directory} is a manifest repository, and no directory of artifacts")

    def _current_files(self, wanted: Sequence[str]) -> Iterator[str]:
        """The files that `current.version` selects in the wanted windows of each target."""
        targets: dict[tuple[str, str], dict[str, dict[str, list[tuple[str, str]]]]] = {}  # → window → type → places
        for directory, real in self._windows:
            if real and not _has_artifacts(directory):
                continue
            place = _staged_in(directory)
            assert place is not None
            of_target = targets.setdefault((place.tenant, place.surface), {})
            of_type = of_target.setdefault(place.window, {}).setdefault(f"{place.segment}/{place.type}", [])
            of_type.append((directory, real))
        for names, by_window in sorted(targets.items()):
            newest_first = sorted(by_window, key=lambda name: (name.partition("_")[2], name), reverse=True)
            chosen = newest_first if ALL_WINDOWS in wanted else [name for name in newest_first if name in wanted]
            chosen = chosen if wanted else newest_first[:1]
            self.staged |= by_window.keys()
            absent = [name for name in wanted if name not in by_window and name != ALL_WINDOWS]
            if absent:
                self.found.notes.append(f"{'/'.join(names)}: nothing staged for window {', '.join(absent)}")
            types = {name for each in by_window.values() for name in each}
            lacking = sorted(types - by_window[chosen[0]].keys()) if len(chosen) == 1 else []
            if lacking:
                says = f"window {chosen[0]} has no {', '.join(lacking)}: what is current stays"
                self.found.notes.append(f"{'/'.join(names)}: {says}")
            for window in chosen:
                for _, places in sorted(by_window[window].items()):
                    yield from self._current_of(places)

    def _current_of(self, places: Sequence[tuple[str, str]]) -> Iterator[str]:
        for directory, real in places:
            if not real:
                self._leads_out(directory)
            elif (file := self._current(directory)) is not None:
                yield file

    def _current(self, directory: str) -> str | None:
        """The file that `current.version` names in a window's directory."""
        pointer = os.path.join(directory, "current.version")
        version, says = "", "no current.version with 64 hex digits here: stage the window again"
        if os.path.lexists(pointer) and self._inside(pointer) is None:
            self._leads_out(pointer)
            return None
        with suppress(OSError):
            version = read_file(pointer, _LONGEST_POINTER).decode("ascii", "replace").strip()
        file = os.path.join(directory, f"{version}.json")
        if is_version(version) and os.path.lexists(file):
            if self._inside(file) is not None:
                return file
            self._leads_out(file)
            return None
        if is_version(version):
            says = f"it names version {short(version)}, but that file is missing: stage the window again"
        self._fault(directory, Fault(pointer, "version-mismatch", says))
        return None

    def _inside(self, link: str) -> str | None:
        """What a path really is, if that is below one of the directories that were named; else None."""
        real = os.path.realpath(link)
        if not os.path.exists(real):
            return None
        return real if any(os.path.commonpath((root, real)) == root for root in self.roots) else None

    def _leads_out(self, link: str) -> None:
        self._fault(link, Fault(link, "leads-out", self._says_of_link(link).removeprefix(f"{link} ")))

    def _says_of_link(self, link: str) -> str:
        real = os.path.realpath(link)
        if not os.path.exists(real):
            return f"{link} is a symlink that leads nowhere, to {real}: stage it again"
        return f"{link} is a symlink that leads out of {self.root}, to {real}: name that path, too, or copy it here"

    def _fault(self, place: str, fault: Fault) -> None:
        """Note a fault, with the target that the place of a file or a window's directory names."""
        staged = _staged_in(place) or _staged_in(os.path.dirname(place))
        self.found.faults.append((staged.target if staged is not None else None, fault))

    def _unreadable(self, directory: str, error: OSError) -> None:
        says = f"it cannot be read ({error.strerror}): make it readable, or leave it out"
        self._fault(directory, Fault(directory, UNREADABLE, says))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _has_artifacts(directory: str) -> bool:
    try:
        return any(name == "current.version" or name.endswith(".json") for name in os.listdir(directory))
    except OSError:
        return True  # reading it says what is wrong
