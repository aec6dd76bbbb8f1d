"""The blobs that a change names: their sizes, their hashes, and how alike two of them are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pointsman.errors import Blocked, Fault, NoAnswer
from pointsman.gate.payloads import Contents, Pair
from pointsman.guardrails.comparison import Likeness
from pointsman.guardrails.guardrail import Compares
from pointsman.guardrails.limits import is_on, number
from pointsman.guardrails.table import GUARDRAILS
from pointsman.patterns import pattern
from pointsman.rules.evidence import Blob, Checkpoint, Document, Kind, TargetChange
from pointsman.settings import Settings
from pointsman.state.documents import Record
from pointsman.state.names import BUILT_IN_TYPES, NAME, VERSION, Target
from pointsman.state.paths import is_target
from pointsman.state.store_url import can_be_asked
from pointsman.store.base import MOST_OF_A_BLOB, Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all

if TYPE_CHECKING:
    from pointsman.artifact.user_type import UserType

_BLOB_KEY = pattern(rf"{NAME}/{NAME}/{NAME}/{VERSION}\.json")


class Blobs:
    """Looks at blobs. `contents` reads those that guardrails compare. If it is offline, no store is asked at all."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.offline = contents.offline
        self._stores: dict[str, Store] = {}
        self._sizes: dict[str, Blob] = {}
        self._hashed: dict[str, Blob] = {}

    def compared(self, settings: Settings, changes: Sequence[TargetChange]) -> list[TargetChange]:
        """The same changes with `likeness`, as far as guardrails that are on need it."""
        first = [pair for change in changes for pair in _pairs(settings, change, 0)]
        alike = self.contents.likeness(settings, first)
        # A version that is like the current one passes. Only for the others is an earlier state read.
        unlike = [change for change in changes if _is_unlike(settings, change, alike)]
        alike |= self.contents.likeness(settings, [pair for each in unlike for pair in _pairs(settings, each, 1)])
        return [replace(change, likeness=alike) for change in changes]

    def contents_of(
        self, settings: Settings, changes: Sequence[TargetChange], own_type: Callable[[str], UserType | None]
    ) -> list[Fault]:
        """What is wrong in the blobs that ships bring. A restore brings none: what it puts back was shipped once."""
        brought = [
            (change.target.manifest_path, slot, record)
            for change in changes
            if change.kind in (Kind.SHIP, Kind.EDIT)
            for slot in change.changed
            if (record := change.records.get(slot)) is not None
        ]
        own = {slot: own_type(slot) for slot in {slot for _, slot, _ in brought} if slot not in BUILT_IN_TYPES}
        found = self.contents.differences(settings, [record for _, _, record in brought], own)
        return [
            Fault(path, wrong.rule, f"{slot}: the blob {record.uri} {wrong.says}: publish its artifact with pointsman")
            for path, slot, record in brought
            if (wrong := found.get(record.uri)) is not None
        ]

    def look_ahead(self, settings: Settings, uris: Iterable[str]) -> None:
        """Ask the store for many sizes together. The gate asks for one target at a time, and finds them here.

        One that cannot be had is left out: whoever asks for it again is told why.
        """
        self._sizes = {}
        found = self.tries(settings, dict.fromkeys(uris, False))
        self._sizes = {uri: blob for uri, blob in found.items() if isinstance(blob, Blob)}

    def remember(self, hashed: Mapping[str, Blob]) -> None:
        """Use these hashes from now on, and do not read the blobs again."""
        self._hashed |= hashed

    def look(self, settings: Settings, wanted: Mapping[str, bool]) -> dict[str, Blob]:
        """What the stores have under URIs (`wanted`: URI → whether to hash it). URIs of no store are left out.

        Blocked if one of them cannot be had.
        """
        found: dict[str, Blob] = {}
        for uri, blob in self.tries(settings, wanted).items():
            if isinstance(blob, Blocked):
                raise blob
            found[uri] = blob
        return found

    def tries(self, settings: Settings, wanted: Mapping[str, bool]) -> dict[str, Blob | Blocked]:
        """The same, with the reason in the place of a blob that cannot be had."""
        found: dict[str, Blob | Blocked] = {}
        for url in (settings.store, *settings.former):
            mine = [uri for uri in wanted if uri not in found and _is_blob(url, uri)]
            if not mine or not can_be_asked(url):
                continue
            if url not in self._stores:
                self._stores[url] = open_store(url, settings.access)
            store = self._stores[url]
            ask = partial(self._blob, store, wanted, max(MOST_OF_A_BLOB, settings.artifact_bytes))
            at_once = store.reads_at_once if any(wanted[uri] for uri in mine) else store.at_once
            found |= zip(mine, ask_all(ask, mine, at_once=at_once), strict=True)
        return found

    def _blob(self, store: Store, wanted: Mapping[str, bool], most: int, uri: str) -> Blob | Blocked:
        key = uri[len(store.url) + 1 :]
        try:
            if wanted[uri]:
                if uri in self._hashed:
                    return self._hashed[uri]
                size = self.contents.take_proof(uri)
                return Blob(*(store.digest(key, most) or (None,))) if size is None else Blob(size, key[-69:-5])
            return self._sizes.get(uri) or Blob(store.size(key))
        except (Blocked, NoAnswer) as trouble:
            return Blocked(str(trouble))

    def of_change(
        self, checkpoint: Checkpoint, settings: Settings, documents: Iterable[Document], targets: Iterable[TargetChange]
    ) -> dict[str, Blob]:
        """The blobs of changed manifests, hashed for changed slots, or of records if no manifest changes."""
        wanted = {
            uri: checkpoint is Checkpoint.TREE or slot in change.changed
            for change in targets
            if change.after is not None
            for slot, uri in change.after.current.items()
            if uri in settings.places(change.target, slot, change.after.versions.get(slot, ""))
        }
        if checkpoint is Checkpoint.CHANGE and not targets:
            records = (document.value for document in documents if isinstance(document.value, Record))
            wanted = {
                record.uri: False
                for record in records
                if is_target(record.tenant, record.surface)
                and record.uri in settings.places(record.target, record.type, record.version)
            }
        return self.look(settings, wanted)


def _limits(settings: Settings, target: Target, slot: str, what: Compares) -> list[float]:
    """The limits of the guardrails that are on for a type of a target and compare this part of the contents."""
    asking = (guardrail.setting for guardrail in GUARDRAILS.values() if guardrail.compares is what)
    return [number(limit) for limit in (settings.limit(target, setting, slot) for setting in asking) if is_on(limit)]


def _pairs(settings: Settings, change: TargetChange, reference: int) -> Iterator[Pair]:
    """The versions that guardrails compare by their contents, for each changed slot. `reference`: 0 is current."""
    for before in change.references[reference : reference + 1]:
        for slot in change.changed:
            old, new = before.get(slot), change.records.get(slot)
            kept, tops = (_limits(settings, change.target, slot, what) for what in (Compares.IDS, Compares.TOP))
            if old is not None and new is not None and (kept or tops):
                yield Pair(old, new, bool(tops))


def _is_unlike(settings: Settings, change: TargetChange, alike: Mapping[tuple[str, str], Likeness]) -> bool:
    for pair in _pairs(settings, change, 0):
        like = alike[pair.before.version, pair.after.version]
        for figure, what in ((like.kept, Compares.IDS), (like.overlap, Compares.TOP)):
            limits = _limits(settings, change.target, pair.after.type, what)
            if figure is not None and any(figure < limit for limit in limits):
                return True
    return False


def _is_blob(store: str, uri: str) -> bool:
    """Whether a URI can be a blob of a store. No other URI is ever opened."""
    return uri.startswith(f"{store}/") and _BLOB_KEY.fullmatch(uri, len(store) + 1) is not None
