"""Finds the stored blobs that hold an id: in the store, in former ones and replicas, and in their trash.

Whether they are recorded does not matter. Blobs are read as they come, by as many processes as there are processors.
Memory follows the size of the blobs that are read at once, not their number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import islice

from msgspec import Struct, field

from pointsman.artifact.holding import Held, NotRead, Search
from pointsman.artifact.user_type import UserType
from pointsman.errors import Blocked, NoAnswer, Unreachable
from pointsman.patterns import pattern
from pointsman.progress import Progress
from pointsman.retention.trash import TRASH, read_place, slot_of
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.store_url import can_be_asked
from pointsman.store.base import Store, listed
from pointsman.store.open import open_store
from pointsman.store.own import BEGUN
from pointsman.store.parallel import ask_all
from pointsman.store.processes import cores, in_processes
from pointsman.store.vacant import is_vacant

_BATCH = 256  # blobs that are given to the threads at once
_VACANT = "no blob is there: is it mounted? If it was given up, take it out of the settings"
_BEGUN = pattern(rf"\.pointsman/{BEGUN}")
_IN_THE_MAKING = "an object in the making: run find again; what is there still was left by a killed process: delete it"
_MOST = 1 << 28  # bytes of one blob: it is in memory as a whole. Serving loads 10 MB


class Found(Struct, frozen=True):
    """One blob that holds ids, and where it is."""

    held: Held
    target: Target
    type: str
    version: str
    uri: str
    in_trash: bool


class Unread(Struct, frozen=True):
    """A blob, or a whole store, that could not be read."""

    uri: str
    why: str


class Findings(Struct):
    """What was read, what was found in it, and what could not be read. `others`: objects that are no blobs."""

    read: int = 0
    bytes: int = 0
    others: int = 0
    found: list[Found] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def add(self, more: Findings) -> None:
        """Count what another one has, too."""
        self.read += more.read
        self.bytes += more.bytes
        self.others += more.others
        self.found += more.found
        self.unread += more.unread


class _Blob(Struct, frozen=True):
    key: str
    target: Target
    type: str
    version: str
    in_trash: bool


def find(
    settings: Settings,
    ids: Collection[str],
    own_type: Callable[[str], UserType | None],
    progress: Progress,
    shard: tuple[int, int] = (1, 1),
    *,
    many: bool = True,
    expected: bool = True,
) -> Findings:
    """The blobs of the i-th of n shards that hold any of the ids. `own_type` is asked in each process.

    `expected`: something is recorded, so a directory without any blob is told: it may be one that is not mounted.
    `many`: read them by several processes. The caller has not used a bucket yet: its client does not survive a fork.
    """
    parts = cores() if many else 1

    def work(part: int) -> Findings:
        is_mine = partial(_is_mine, shard=shard, part=part, parts=parts)
        return _Finder(settings, ids, own_type, progress, is_mine).run(expected=expected)

    found = Findings()
    for part in in_processes(work, parts):
        found.add(part)
    found.found.sort(key=lambda each: (each.target, each.type, each.version, each.uri))
    found.unread = sorted(set(found.unread), key=lambda each: each.uri)
    found.others //= parts  # each process lists all of it
    return found


def _is_mine(version: str, shard: tuple[int, int], part: int, parts: int) -> bool:
    """By the first digits for a shard, and by others for a process, as `verify` does."""
    place, shards = shard
    return int(version[:8], 16) % shards == place - 1 and int(version[8:16], 16) % parts == part


def _is_file(store: Store, key: str) -> bool:
    """Whether what is no file itself leads to one. Behind any other link there may be blobs."""
    try:
        return store.size(key) is not None
    except Blocked:
        return False


class _Finder:
    def __init__(
        self,
        settings: Settings,
        ids: Collection[str],
        own_type: Callable[[str], UserType | None],
        progress: Progress,
        is_mine: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._search = Search(ids)
        self._own_type = own_type
        self._types: dict[str, UserType | None] = {}
        self._progress = progress
        self._is_mine = is_mine
        self._result = Findings()
        self._gone: set[str] = set()  # keys that were listed and could not be read any more

    def run(self, *, expected: bool) -> Findings:
        settings = self._settings
        stores = [(url, settings.access) for url in (settings.store, *settings.former)]
        stores += [(place.store, place.access) for place in settings.serving if place.store]
        for url, access in dict.fromkeys(stores):
            if not can_be_asked(url):
                self._result.unread.append(Unread(url, "no store of this kind can be read"))
                continue
            if expected and is_vacant(url):
                self._result.unread.append(Unread(url, _VACANT))
                continue
            try:
                self._read_store(open_store(url, access))
            except Unreachable as error:
                self._result.unread.append(Unread(url, str(error)))
        return self._result

    def _read_store(self, store: Store) -> None:
        self._gone = set()
        self._read_all(store, self._blobs(store))
        if not self._gone:
            return
        # A blob that goes to the trash meanwhile, or comes back from it, has another key now.
        moved = {key.rpartition("/")[2] for key in self._gone}
        known, self._gone = self._gone, set()
        again = (blob for blob in self._blobs(store) if f"{blob.version}.json" in moved and blob.key not in known)
        self._read_all(store, again)
        for key in self._gone:
            self._result.unread.append(Unread(f"{store.url}/{key}", "it moves while it is read: run find again"))

    def _blobs(self, store: Store) -> Iterator[_Blob]:
        for key, size, _ in listed(store):
            place = read_place(key) if key.startswith(TRASH) else None
            slot = slot_of(place[1] if place is not None else key)
            if slot is None and size is None and not _is_file(store, key):
                why = "it is no file, and nobody looks behind a link"
                self._result.unread.append(Unread(f"{store.url}/{key}", why))
            elif slot is None and _BEGUN.fullmatch(key):
                self._result.unread.append(Unread(f"{store.url}/{key}", _IN_THE_MAKING))
            elif slot is None:
                self._result.others += "/.pointsman/" not in f"/{key}"
            elif self._is_mine(slot[2]):
                yield _Blob(key, *slot, in_trash=place is not None)

    def _read_all(self, store: Store, blobs: Iterator[_Blob]) -> None:
        while batch := list(islice(blobs, _BATCH)):
            for name in {blob.type for blob in batch}.difference(self._types):
                self._types[name] = self._own_type(name)
            looked = ask_all(partial(self._look, store), batch, at_once=store.reads_at_once)
            for blob, seen in zip(batch, looked, strict=True):
                self._note(store, blob, seen)
            self._progress.counted("blobs read", self._result.read, None)

    def _look(self, store: Store, blob: _Blob) -> tuple[int, Held | None] | Unread | None:
        """The size of a blob and what it holds; None if it is not there any more."""
        uri = f"{store.url}/{blob.key}"
        try:
            there = store.read(blob.key, _MOST)
        except (Blocked, NoAnswer) as trouble:
            return Unread(uri, str(trouble))
        if there is None:
            return None
        if len(there.data) > _MOST:
            return Unread(uri, f"it has more than {_MOST:,} bytes, and no more are read")
        try:
            return len(there.data), self._search.look(blob.type, there.data, self._types[blob.type])
        except NotRead:
            return Unread(uri, "it is no JSON document")

    def _note(self, store: Store, blob: _Blob, seen: tuple[int, Held | None] | Unread | None) -> None:
        result = self._result
        if seen is None:
            self._gone.add(blob.key)
            return
        if isinstance(seen, Unread):
            result.unread.append(seen)
            return
        result.read += 1
        result.bytes += seen[0]
        if seen[1] is not None:
            place = f"{store.url}/{blob.key}"
            result.found.append(Found(seen[1], blob.target, blob.type, blob.version, place, blob.in_trash))
