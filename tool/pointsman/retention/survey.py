"""What is in a store, held against what main records: one listing, each key once, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct, field

from pointsman.patterns import pattern
from pointsman.progress import SILENCE, Progress
from pointsman.retention.recorded import LIVE, Recorded, State
from pointsman.retention.stored import Blobs
from pointsman.retention.trash import read_place, slot_of
from pointsman.state.names import NAME, VERSION
from pointsman.store.base import Listed, Page, Store
from pointsman.store.processes import shared

_OURS = ".pointsman/"
# What recsys-pipelines writes beside the blobs: a record keeps its version, a pointer is read with those of serving.
_PIPELINES = pattern(rf"registry/(?:records/{NAME}/{NAME}/{NAME}/({VERSION})\.json|current/.*)", re.DOTALL)
_HEX = b"0123456789abcdef"
_FIXED = ((0, "/"), (65, "."), (66, "j"), (67, "s"), (68, "o"), (69, "n"))  # of those characters
_COUNTS = ("listed", "known", "live", "live_bytes", "young", "unknown", "of_unknown_targets")
_MANY = 8192  # objects, from which on several processes look at the rest
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
    has_tombstones: bool = False  # whether the first repository retired anything, ever


class _Part(Struct):
    """What is in a part of a store. Nobody may know yet which targets have a record."""

    found: Survey = field(default_factory=Survey)
    waiting: dict[str, Blobs] = field(default_factory=dict)  # target → orphans
    known: dict[str, int] = field(default_factory=dict)  # target → blobs

    def add(self, other: _Part) -> None:
        """Add what is in another part, which comes later in the order of keys."""
        for name in _COUNTS:
            setattr(self.found, name, getattr(self.found, name) + getattr(other.found, name))
        self.found.retired.extend(other.found.retired)
        self.found.trash.extend(other.found.trash)
        self.found.pipelines |= other.found.pipelines
        for target, blobs in other.waiting.items():
            self.waiting.setdefault(target, Blobs()).extend(blobs)
        for target, count in other.known.items():
            self.known[target] = self.known.get(target, 0) + count


def survey(
    store: Store, recorded: Sequence[Recorded], targets: Iterable[str], oldest: float, progress: Progress
) -> Survey:
    """List a store once. `recorded`: of each repository that counts. `targets`: those that may have a record.

    Blobs that were written after `oldest`, seconds since 1970, are left alone. Many are shared by several processes.
    """
    parts, may_have, whole, done = store.parts(), frozenset(targets), _Part(), 0
    surveyor = _Surveyor(recorded, may_have, oldest, progress)
    while done < len(parts) and surveyor.count < _MANY:
        whole.add(surveyor.part(parts[done]()))
        done += 1
    rest = parts[done:]

    def others() -> Callable[[int], _Part]:
        another = _Surveyor([every.again() for every in recorded], may_have, oldest, SILENCE)
        return lambda number: another.part(rest[number]())

    for part in shared(lambda number: surveyor.part(rest[number]()), others, len(rest)):
        whole.add(part)
    return _end(whole, recorded)


class _Surveyor:
    def __init__(
        self, recorded: Sequence[Recorded], may_have: frozenset[str], oldest: float, progress: Progress
    ) -> None:
        self.count = 0  # objects
        self._part = _Part()
        self._recorded = recorded
        self._may_have = may_have
        self._oldest = oldest
        self._progress = progress
        self._directory, self._target = "", ""  # the last one; "" is the target of one in which no blob can be
        self._in_trash = False  # whether the last one is in the trash, and a blob can be in it

    def part(self, pages: Iterator[Page]) -> _Part:
        """Look at every page of a part."""
        self._part = _Part()
        for page in pages:
            self._progress.counted("objects listed", self.count, None)
            self.count += len(page.keys)
            self._add(page)
        return self._part

    def _add(self, page: Page) -> None:
        for directory, run, are_blobs in _runs(page):
            if directory != self._directory:
                some = f"{directory}/{'0' * 64}.json"
                slot = slot_of(some)
                self._directory, self._target = directory, f"{slot[0]}" if slot is not None else ""
                self._in_trash = read_place(some) is not None
            can_be = bool(self._target or self._in_trash)
            if can_be and are_blobs and None not in run.sizes:
                self._add_blobs(run)
                continue
            for each in run.objects():
                if can_be and each.size is not None and _are_blobs([each.key], directory):
                    self._add_blobs(Page([each.key], [each.size], [each.written]))
                else:
                    _no_blob(self._part.found, each)

    def _add_blobs(self, run: Page) -> None:
        found, count = self._part.found, len(run.keys)
        if self._in_trash:
            for each in run.objects():
                found.trash.add(each.key, each.size or 0, each.written)
            return
        found.listed += count
        if self._target not in self._may_have:
            found.unknown += count
            found.of_unknown_targets += count
            return
        self._part.known[self._target] = self._part.known.get(self._target, 0) + count
        found.live += count
        found.live_bytes += sum(filter(None, run.sizes))
        states = self._recorded[0].states(run.keys)
        if not states:
            return
        rest = [place for place, key in enumerate(run.keys) if key in states]
        others = [every.states([run.keys[place] for place in rest]) for every in self._recorded[1:]]
        orphans = []
        for place in rest:
            key = run.keys[place]
            told = [states[key], *(every.get(key, LIVE) for every in others)] if others else (states[key],)
            if not any(state.record for state in told):
                orphans.append(place)
            else:
                self._sort_recorded(key, run.sizes[place] or 0, run.written[place], told)
        self._add_orphans(run, orphans)

    def _sort_recorded(self, key: str, size: int, written: float, states: Iterable[State]) -> None:
        """Where a recorded blob belongs that was counted as live, and that the first repository retired or has not."""
        if written > self._oldest or any(state.record and not state.tombstone for state in states):
            return
        self._part.found.live -= 1
        self._part.found.live_bytes -= size
        self._part.found.retired.add(key, size, written)

    def _add_orphans(self, run: Page, places: Sequence[int]) -> None:
        """Blobs of a run that were counted as live, and that nobody records."""
        old = [place for place in places if run.written[place] <= self._oldest]
        self._part.found.live -= len(places)
        self._part.found.live_bytes -= sum(run.sizes[place] or 0 for place in places)
        self._part.found.young += len(places) - len(old)
        if old:
            keys, sizes = [run.keys[place] for place in old], [run.sizes[place] or 0 for place in old]
            written = [run.written[place] for place in old]
            self._part.waiting.setdefault(self._target, Blobs()).add_all(keys, sizes, written)


def _end(whole: _Part, recorded: Sequence[Recorded]) -> Survey:
    """Only the targets of the first repository are its own to collect, and only those that have a record."""
    for every in recorded:
        every.finish()
    found, targets = whole.found, recorded[0].targets
    found.has_tombstones = recorded[0].has_tombstones
    for target, count in whole.known.items():
        orphans = whole.waiting.pop(target, Blobs())
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


def _runs(page: Page) -> Iterator[tuple[str, Page, bool]]:
    """Directories, what follows each other in them, and whether all that are blobs by their keys.

    The directory of keys that are too short to be those of blobs is "".
    """
    directory = page.keys[0][:-_NAME]
    # In ascending order, between two names in a directory only what is deeper comes; that has more slashes.
    if page.keys[-1][:-_NAME] == directory and _are_blobs(page.keys, directory) and sorted(page.keys) == page.keys:
        yield directory, page, True
        return
    start = 0
    for directory, group in groupby(page.keys, lambda key: key[:-_NAME]):
        stop = start + sum(1 for _ in group)
        run = Page(page.keys[start:stop], page.sizes[start:stop], page.written[start:stop])
        yield directory, run, _are_blobs(run.keys, directory)
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
