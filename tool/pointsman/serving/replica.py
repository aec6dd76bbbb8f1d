"""The replica of the blobs at a place of its own: a pointer is given there only when every blob has arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pointsman.errors import Blocked, Fault, NoAnswer
from pointsman.rules.evidence import Blob
from pointsman.state.documents import Manifest, Record
from pointsman.state.names import Target
from pointsman.state.place import Place
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all


class Replica:
    """The blobs below the `store` of a place, under the keys that they have in the store of the settings."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._store = open_store(place.store, place.access)
        self._sizes: dict[str, int | Blocked | None] = {}

    def look_ahead(self, manifests: Mapping[Target, Manifest]) -> None:
        """Ask for the sizes of all that these point to, many at a time; Unreachable if the store does not answer."""
        keys = list(dict.fromkeys(key for each in manifests.items() for key, _, _ in _keys(*each)))

        def ask(key: str) -> int | Blocked | None:
            try:
                return self._store.size(key)
            except (Blocked, NoAnswer) as trouble:
                return Blocked(str(trouble))

        self._sizes = dict(zip(keys, ask_all(ask, keys, at_once=self._store.at_once), strict=True))

    def blobs(self, target: Target, manifest: Manifest) -> dict[str, Blob]:
        """What the replica has of the blobs of a manifest, by the URIs that this has; Blocked if one cannot be had."""
        return {uri: Blob(self._size(key)) for key, _, uri in _keys(target, manifest)}

    def lacking(self, target: Target, manifest: Manifest, records: Mapping[str, Record]) -> Sequence[Fault]:
        """What has not arrived, or not whole."""
        found = []
        for key, slot, _ in _keys(target, manifest):
            size, record = self._size(key), records.get(slot)
            if record is not None and size != record.size:
                has = f"has {size} of {record.size} bytes" if size is not None else "is not there yet"
                says = (
                    f"{slot}: {self._place.store}/{key} {has}: {self._place.name} keeps what it has until it is there"
                )
                found.append(Fault(target.manifest_path, "blob-missing", says))
        return found

    def _size(self, key: str) -> int | None:
        size = self._sizes[key] if key in self._sizes else self._store.size(key)
        if isinstance(size, Blocked):
            raise size
        return size


def _keys(target: Target, manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """The key, the slot and the URI of each blob of a manifest that points to versions."""
    for slot, version in manifest.versions.items():
        yield target.blob_key(slot, version), slot, manifest.current[slot]
