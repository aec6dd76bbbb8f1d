"""What is in a store, held against what main records: one listing, each key once, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct, field

from pointsman.patterns import pattern
from pointsman.progress import Progress
from pointsman.retention.recorded import LIVE, Recorded, State
from pointsman.retention.stored import Blobs
from pointsman.retention.trash import read_place, slot_of
from pointsman.state.names import NAME, VERSION
from pointsman.store.base import Listed, Page, Store

_OURS = ".pointsman/"
# What recsys-pipelines writes beside the blobs: a record keeps its version, a pointer is read with those of serving.
_PIPELINES = pattern(rf"registry/(?:records/{NAME}/{NAME}/{NAME}/({VERSION})\.json|current/.*)", re.DOTALL)
_HEX = b"0123456789abcdef"
_FIXED = ((0, "/"), (65, "."), (66, "j"), (67, "s"), (68, "o"), (69, "n"))  # of those characters
_NAME = 70  # characters of a blob's key after its directory


class Survey(Struct):
    """Counts and sizes of what there is. `orphans` and `retired` may go as far as main tells, and are old enough."""

    listed: int = 0  # blobs
    known: int = 0  # those among them of targets that have a record
    live: int = 0
    live_bytes: int = 0
    young: int = 0  # blobs that no record names, and that may be of a publish that goes on
    unknown: int = 0  # objects that are never touched, because nothing tells whose they are
    orphans: Blobs = field(default_factory=Blobs)
    retired: Blobs = field(default_factory=Blobs)
    trash: Blobs = field(default_factory=Blobs)
    pipelines: set[str] = field(default_factory=set)  # versions that records of recsys-pipelines name
    of_unknown_targets: int = 0  # blobs among the unknown


def survey(
    store: Store, recorded: Sequence[Recorded], targets: Iterable[str], oldest: float, progress: Progress
) -> Survey:
    """List a store once. `recorded`: of each repository that counts. `targets`: those that may have a record.

    Blobs that were written after `oldest`, seconds since 1970, are left alone.
    """
    surveyor = _Surveyor(recorded, frozenset(targets), oldest)
    count = 0
    for page in store.objects(""):
        progress.counted("objects listed", count, None)
        count += len(page.keys)
        surveyor.add(page)
    return surveyor.end()


class _Surveyor:
    def __init__(self, recorded: Sequence[Recorded], may_have: frozenset[str], oldest: float) -> None:
        self._found = Survey()
        self._recorded = recorded
        self._may_have = may_have
        self._oldest = oldest
        self._waiting: dict[str, Blobs] = {}  # target → orphans, while nobody knows yet whether it has a record
        self._known: dict[str, int] = {}
        self._directory, self._target = "", ""  # the last one; "" is the target of one in which no blob can be
        self._in_trash = False  # whether the last one is in the trash, and a blob can be in it

    def add(self, page: Page) -> None:
        """Count what a page has."""
        for directory, run in _runs(page):
            if directory != self._directory:
                some = f"{directory}/{'0' * 64}.json"
                slot = slot_of(some)
                self._directory, self._target = directory, f"{slot[0]}" if slot is not None else ""
                self._in_trash = read_place(some) is not None
            if self._are_blobs(run):
                self._add_blobs(run)
                continue
            for each in run.objects():
                one = Page([each.key], [each.size], [each.written])
                if self._are_blobs(one):
                    self._add_blobs(one)
                else:
                    _no_blob(self._found, each)

    def _are_blobs(self, run: Page) -> bool:
        """Whether objects of one directory are all blobs by their keys."""
        if not (self._target or self._in_trash) or None in run.sizes:
            return False
        return _are_blobs(run.keys, self._directory)

    def _add_blobs(self, run: Page) -> None:
        found, count = self._found, len(run.keys)
        if self._in_trash:
            for each in run.objects():
                found.trash.add(each.key, each.size or 0, each.written)
            return
        found.listed += count
        if self._target not in self._may_have:
            found.unknown += count
            found.of_unknown_targets += count
            return
        self._known[self._target] = self._known.get(self._target, 0) + count
        found.live += count
        found.live_bytes += sum(filter(None, run.sizes))
        states = self._recorded[0].states(run.keys)
        if not states:
            return
        rest = [place for place, key in enumerate(run.keys) if key in states]
        others = [every.states([run.keys[place] for place in rest]) for every in self._recorded[1:]]
        for place in rest:
            key = run.keys[place]
            told = [states[key], *(every.get(key, LIVE) for every in others)]
            self._sort(key, run.sizes[place] or 0, run.written[place], told)

    def _sort(self, key: str, size: int, written: float, states: Sequence[State]) -> None:
        """Where a blob belongs that was counted as live, and of which the first repository has no plain record."""
        records = [state for state in states if state.record]
        young = written > self._oldest
        if any(not state.tombstone for state in records) or (records and young):
            return
        self._found.live -= 1
        self._found.live_bytes -= size
        if young:
            self._found.young += 1
        elif records:
            self._found.retired.add(key, size, written)
        else:
            self._waiting.setdefault(self._target, Blobs()).add(key, size, written)

    def end(self) -> Survey:
        """Only the targets of the first repository are its own to collect, and only those that have a record."""
        for every in self._recorded:
            every.finish()
        found, targets = self._found, self._recorded[0].targets
        for target, count in self._known.items():
            orphans = self._waiting.pop(target, Blobs())
            if target in targets:
                found.known += count
                found.orphans.extend(orphans)
            else:
                found.unknown += len(orphans)
                found.of_unknown_targets += len(orphans)
        return found


def _are_blobs(keys: Sequence[str], directory: str) -> bool:
    """Whether keys that are a directory and 70 characters end in the name of a blob.

    A pattern would take ten times as long. So: what is no digit is at its place in each, and nowhere else.
    """
    text, count, length = "".join(keys), len(keys), len(directory) + _NAME
    if not text.isascii():
        return False
    fixed = f"{directory}/.json".encode().translate(None, _HEX)
    return text.encode().translate(None, _HEX) == fixed * count and all(
        text[len(directory) + place :: length] == letter * count for place, letter in _FIXED
    )


def _runs(page: Page) -> Iterator[tuple[str, Page]]:
    """Directories, and what follows each other in them; "" for keys that are too short to be those of blobs."""
    directories = {key[:-_NAME] for key in page.keys}
    if len(directories) == 1:
        yield directories.pop(), page
        return
    start = 0
    for directory, group in groupby(page.keys, lambda key: key[:-_NAME]):
        stop = start + sum(1 for _ in group)
        yield directory, Page(page.keys[start:stop], page.sizes[start:stop], page.written[start:stop])
        start = stop


def _no_blob(found: Survey, each: Listed) -> None:
    """Count what is ours and no blob, and what is somebody else's."""
    if each.key.startswith(_OURS):
        return
    pipelines = _PIPELINES.fullmatch(each.key)
    if pipelines is None:
        found.unknown += 1
    elif pipelines[1]:
        found.pipelines.add(pipelines[1])
