"""The contents of stored artifacts, to compare two versions. Each blob is fetched once, and its hash is checked.

A blob that is missing or altered is no error here: `Missing` says why, and the comparison reports that. Blobs from a
bucket are kept in the user's cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from pointsman.errors import Blocked, NoAnswer, Problem
from pointsman.gate import blob_cache
from pointsman.guardrails.comparison import Likeness
from pointsman.settings import Settings
from pointsman.state.documents import Record
from pointsman.state.names import BUILT_IN_TYPES, short
from pointsman.state.other_forms import recognised
from pointsman.state.store_url import can_be_asked
from pointsman.store.base import MOST_OF_A_BLOB, Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all

# The decoder is imported where it is needed: it costs 15 ms, and a rollback or a sync compares nothing.
if TYPE_CHECKING:
    from pointsman.artifact.content import Content
    from pointsman.artifact.user_type import UserType
    from pointsman.gate.proof import Difference


class Missing(Struct, frozen=True):
    """Why the content of a version is not available."""

    why: str


class Pair(Struct, frozen=True):
    """Two versions to compare. With `tops`, their top entries too, which needs all of both blobs."""

    before: Record
    after: Record
    tops: bool


class Contents:
    """Reads contents by record. `at_hand`: version → payload that need not be fetched. `offline`: ask no store.

    `declared` finds the schema of a user's own type, `erased` says whether a version is to be erased; a gate sets both
    to what main says.
    """

    def __init__(self, *, offline: bool = False, at_hand: Mapping[str, Callable[[], bytes]] | None = None) -> None:
        self.offline = offline
        self._at_hand = dict(at_hand or {})
        self._stores: dict[str, Store] = {}
        self._down: dict[str, Missing] = {}  # URL of a store that did not answer; it is not asked again
        self._alike: dict[tuple[str, str, bool], Likeness] = {}
        self.declared: Callable[[str], UserType | None] = lambda name: None
        self._types: dict[str, UserType | Missing] = {}
        self._looked_at: dict[str, Record] = {}
        self._different: dict[str, Difference | None] = {}
        self.erased: Callable[[Record], bool] = lambda record: False
        self._erased: set[str] = set()  # versions
        self._proven: dict[str, int] = {}  # URI → size of a blob whose hash was right when it was fetched

    def provide(self, at_hand: Mapping[str, Callable[[], bytes]]) -> None:
        """Give payloads by version, so that they need not be fetched."""
        self._at_hand |= at_hand

    def read(self, settings: Settings, record: Record) -> Content | Missing:
        """The decoded content of one version; Missing if it is not available or its type cannot be compared."""
        data = self.payload(settings, record)
        if isinstance(data, Missing):
            return data
        from pointsman.artifact.content import decode

        own = self._own_type(record.type)
        if isinstance(own, Missing):
            return own
        content = decode(record.type, data, own_type=own)
        return content if content is not None else Missing("its content cannot be compared")

    def drop_erased(self, records: Iterable[Record]) -> None:
        """Drop from the cache what is to be erased, and keep it out. Not for threads: git is asked by one."""
        for record in records:
            if record.version not in self._erased and self.erased(record):
                self._erased.add(record.version)
                blob_cache.forget(record.version)

    def _find_types(self, names: Iterable[str]) -> None:
        """Look types up before several threads need them: git is asked by one thread."""
        for name in set(names):
            self._own_type(name)

    def _own_type(self, name: str) -> UserType | Missing | None:
        """The schema of a user's own type; None for a built-in type."""
        if name in BUILT_IN_TYPES:
            return None
        if name not in self._types:
            self._types[name] = self.declared(name) or Missing(f"main has no usable schema of the type {name}")
        return self._types[name]

    def read_all(self, settings: Settings, records: Iterable[Record]) -> Mapping[str, Content | Missing]:
        """Version → content. Buckets are read several blobs at a time."""
        every = list({record.version: record for record in records}.values())
        self._find_types(record.type for record in every)
        self.drop_erased(every)
        read = ask_all(lambda record: self.read(settings, record), every, at_once=self._at_once(settings))
        return {record.version: content for record, content in zip(every, read, strict=True)}

    def likeness(self, settings: Settings, pairs: Iterable[Pair]) -> dict[tuple[str, str], Likeness]:
        """(Version before, version after) → how alike they are. Each pair is measured once.

        Memory holds no more contents at a time than are read at once.
        """
        every = {(pair.before.version, pair.after.version, pair.tops): pair for pair in pairs}
        new = [(key, pair) for key, pair in every.items() if key not in self._alike]
        self._find_types(pair.after.type for _, pair in new)
        self.drop_erased(record for _, pair in new for record in (pair.before, pair.after))
        measure = partial(self._likeness, settings)
        measured = ask_all(measure, [pair for _, pair in new], at_once=self._at_once(settings))
        found = {key: like for (key, _), like in zip(new, measured, strict=True)}
        return {(before, after): found.get(key) or self._alike[key] for key in every for before, after, _ in [key]}

    def _likeness(self, settings: Settings, pair: Pair) -> Likeness:
        if pair.before.version == pair.after.version:
            return Likeness(1.0, 1.0)
        own = self._own_type(pair.after.type)
        if isinstance(own, Missing):
            return Likeness(why=own.why)
        payloads = []
        for record in (pair.before, pair.after):
            payload = self.payload(settings, record)
            if isinstance(payload, Missing):
                return Likeness(why=f"{payload.why} (version {short(record.version)})")
            payloads.append(payload)
        from pointsman.artifact.content import decode

        before, after = (decode(pair.after.type, payload, leaves=pair.tops, own_type=own) for payload in payloads)
        if before is None:
            like = Likeness(why=f"version {short(pair.before.version)} cannot be read as {pair.before.type}")
        elif after is None:
            like = Likeness(0.0, 0.0)  # an unreadable version keeps nothing of the one before
        else:
            like = alike(before, after, tops=pair.tops)
        self._alike[pair.before.version, pair.after.version, pair.tops] = like
        return like

    def differences(
        self, settings: Settings, records: Sequence[Record], own: Mapping[str, UserType | None]
    ) -> dict[str, Difference]:
        """URI → what in a blob is not as its record says. A blob that is not there or is altered is left out.

        `own`: the schemas of the users' own types among them.
        """
        new = list({record.uri: record for record in records if self._looked_at.get(record.uri) != record}.values())
        self.drop_erased(new)
        look = partial(self._difference, settings, own)
        for record, found in zip(new, ask_all(look, new, at_once=self._at_once(settings)), strict=True):
            if not isinstance(found, Missing):
                self._looked_at[record.uri] = record
                self._different[record.uri] = found
        wanted = ((record.uri, self._different.get(record.uri)) for record in records)
        return {uri: found for uri, found in wanted if found is not None}

    def _difference(
        self, settings: Settings, own: Mapping[str, UserType | None], record: Record
    ) -> Difference | Missing | None:
        data = self.payload(settings, record)
        if isinstance(data, Missing):
            return data
        from pointsman.gate.proof import difference

        return difference(record, data, own.get(record.type))

    def forget_proofs(self) -> None:
        """Prove every blob again from now on: the store may change between two judgements."""
        self._proven.clear()

    def take_proof(self, uri: str) -> int | None:
        """The size of a blob that was fetched and had the right hash; None if it was not fetched. Asked once only."""
        return self._proven.pop(uri, None)

    def payload(self, settings: Settings, record: Record) -> bytes | Missing:
        """The bytes of one version's blob. Their hash is the version."""
        if record.version in self._at_hand:
            return self._at_hand[record.version]()
        cached = blob_cache.cached(record.version) if record.version not in self._erased else None
        if cached is not None:
            return cached
        if self.offline:
            return Missing("the store was not asked (--offline)")
        url = next((url for url in (settings.store, *settings.former) if _is_in(url, record)), None)
        if url is None or not can_be_asked(url):
            return Missing(f"{record.uri} is in no store that can be asked")
        if url in self._down:
            return self._down[url]
        try:
            held = self._store(url, settings).read(record.uri[len(url) + 1 :], min(record.size, _most(settings)))
        except (Blocked, NoAnswer) as trouble:
            return Missing(str(trouble))
        except Problem as problem:
            self._down[url] = Missing(str(problem))
            return self._down[url]
        if held is None:
            return Missing(f"no blob at {record.uri}")
        if len(held.data) > record.size:
            return Missing(f"the blob at {record.uri} has more than the {record.size} bytes that its record says")
        if hashlib.sha256(held.data).hexdigest() != record.version:
            other = recognised(held.data)
            return Missing(f"the bytes at {record.uri} do not hash to their version{other and f': {other}'}")
        self._proven[record.uri] = len(held.data)
        if not url.startswith("file:") and record.version not in self._erased:
            blob_cache.cache(record.version, held.data)
        return held.data

    def _at_once(self, settings: Settings) -> int:
        most = 1
        for url in (settings.store, *settings.former) if not self.offline else ():
            with suppress(Problem):  # reading from that store reports why it cannot be opened
                most = max(most, self._store(url, settings).reads_at_once)
        return most

    def _store(self, url: str, settings: Settings) -> Store:
        if url not in self._stores:
            self._stores[url] = open_store(url, settings.access)
        return self._stores[url]


def alike(before: Content | Missing, after: Content | Missing, *, tops: bool = True) -> Likeness:
    """How alike two contents are, or why that is not known. Without `tops`, only the share of kept ids."""
    for content in (before, after):
        if isinstance(content, Missing):
            return Likeness(why=content.why)
    assert not isinstance(before, Missing)
    assert not isinstance(after, Missing)
    from pointsman.artifact import metrics
    from pointsman.artifact.own_content import Own

    kept = metrics.kept(before, after)
    if kept is None:
        return Likeness(why=metrics.unmeasured(before) if isinstance(before, Own) else "")
    overlap = metrics.overlap(before, after) if tops else None
    return Likeness(kept, overlap, "the two versions have no row in common" if tops and overlap is None else "")


def _is_in(url: str, record: Record) -> bool:
    return record.uri == f"{url}/{record.target.blob_key(record.type, record.version)}"


def _most(settings: Settings) -> int:
    """The most bytes of a blob that are read, whatever its record says."""
    return max(MOST_OF_A_BLOB, settings.artifact_bytes)
