"""Blobs as they were listed: very many in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from pointsman.retention.trash import Slot, slot_of
from pointsman.state.names import is_version

_DIGEST = 32  # bytes
_REST = 70  # characters of a key after its directory: a slash, the version, an ending


class Stored(Struct, frozen=True):
    """A blob as it was listed."""

    key: str
    size: int
    written: float  # seconds since 1970, by the store's clock

    @property
    def slot(self) -> Slot:
        found = slot_of(self.key)
        assert found is not None
        return found

    @property
    def version(self) -> str:
        return self.key[-69:-5]


class Blobs:
    """Blobs in the order in which they were added, at 48 bytes each: a digest, a size and a time.

    Those of one directory are added together, or the directory is noted again.
    """

    def __init__(self) -> None:
        self._directories: list[tuple[str, int]] = []  # and the place of its first blob
        self._digests = bytearray()
        self._sizes = array("q")
        self._written = array("d")

    @classmethod
    def of_those(cls, blobs: Iterable[Stored]) -> Blobs:
        """These blobs."""
        found = cls()
        for blob in blobs:
            found.add(blob.key, blob.size, blob.written)
        return found

    def add(self, key: str, size: int, written: float) -> None:
        """Add a blob; its key is one that the grammar of names produces."""
        self.add_all([key], [size], [written])

    def add_all(self, keys: Sequence[str], sizes: Iterable[int], written: Iterable[float]) -> None:
        """Add blobs of one directory; their keys are such as `add` takes."""
        directory = keys[0][:-_REST]
        if not self._directories or self._directories[-1][0] != directory:
            self._directories.append((directory, len(self._sizes)))
        self._digests += bytes.fromhex("".join([key[1 - _REST : -5] for key in keys]))
        self._sizes.extend(sizes)
        self._written.extend(written)

    def extend(self, others: Blobs) -> None:
        """Add those of others, too."""
        self._directories += [(directory, len(self._sizes) + place) for directory, place in others._directories]
        self._digests += others._digests
        self._sizes += others._sizes
        self._written += others._written

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[Stored]:
        return self._those()

    @property
    def size(self) -> int:
        """The bytes of all of them."""
        return sum(self._sizes)

    def of(self, versions: Collection[str]) -> Iterator[Stored]:
        """Those whose versions are among these, in which anything else may be, too."""
        wanted = {bytes.fromhex(version) for version in versions if is_version(version)} if self._sizes else set()
        return self._those(wanted) if wanted else iter(())

    def below(self, depth: int) -> list[Iterator[Stored]]:
        """All of them, those apart that are below different directories so many names deep."""
        found: dict[str, list[tuple[str, int, int]]] = {}
        for each in self._runs():
            found.setdefault("/".join(each[0].split("/", depth)[:depth]), []).append(each)
        return [self._those(runs=runs) for runs in found.values()]

    def without(self, keys: Collection[str]) -> Blobs:
        """Those whose keys are not among these."""
        return self.of_those(blob for blob in self if blob.key not in keys) if keys else self

    def _runs(self) -> Iterator[tuple[str, int, int]]:
        """Directories, and the places of those in them from one on and before another."""
        for (directory, start), (_, end) in pairwise([*self._directories, ("", len(self._sizes))]):
            yield directory, start, end

    def _those(
        self, wanted: Collection[bytes] | None = None, runs: Iterable[tuple[str, int, int]] | None = None
    ) -> Iterator[Stored]:
        for directory, start, end in self._runs() if runs is None else runs:
            for place in range(start, end):
                digest = bytes(self._digests[place * _DIGEST : (place + 1) * _DIGEST])
                if wanted is None or digest in wanted:
                    yield Stored(f"{directory}/{digest.hex()}.json", self._sizes[place], self._written[place])
