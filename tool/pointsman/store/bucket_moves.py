"""What gc asks of a bucket: everything that is in it, and copies that the store makes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from pointsman.errors import Unreachable
from pointsman.store.base import Page
from pointsman.store.bucket_errors import Trouble
from pointsman.store.bucket_listing import pages_of
from pointsman.store.bucket_requests import Patience, Requests


class Moves(Requests):
    """Listing and moving. A listing that breaks off is not taken up again: what it left out would be believed gone."""

    def objects(self, prefix: str) -> Iterator[Page]:
        """Every object below the directory `prefix` ("": all), a thousand in a page."""
        base = self._path(prefix).rstrip("/")
        skip = len(self._prefix) + 1 if self._prefix else 0
        pages = pages_of(self._obstore.list(self._client(), base or None, chunk_size=1000), self._timeout)
        while True:
            page = self._try(lambda: next(pages, None))
            if isinstance(page, Trouble):
                self._fail("list", prefix, page)
            if page is None:
                return
            yield Page(
                [meta["path"][skip:] for meta in page],
                [meta["size"] for meta in page],
                [meta["last_modified"].timestamp() for meta in page],
            )

    def parts(self) -> Sequence[Callable[[], Iterator[Page]]]:
        """Every object, in one part: the client does not survive a fork."""
        return [lambda: self.objects("")]

    def folders(self, prefix: str) -> list[str]:
        """The names of the directories directly in the directory `prefix`, sorted."""
        base = self._path(prefix).rstrip("/")
        found = self._ask("list", prefix, lambda: self._obstore.list_with_delimiter(self._client(), base or None))
        return sorted(each.rstrip("/").rpartition("/")[2] for each in found["common_prefixes"]) if found else []

    def move(self, key: str, to: str, size: int, still: Callable[[], bool]) -> bool:
        """Copy in the store, look at the copy, delete; each only if `still` says so. False if nothing was deleted."""
        patience = Patience(self._timeout)
        while True:
            if not still():
                return False
            copied = self._try(lambda: self._obstore.copy(self._client(), self._path(key), self._path(to)))
            if not isinstance(copied, Trouble):
                break
            if copied.kind == "absent":
                return False
            if copied.kind == "lasting" or not patience.again():
                self._fail("copy", key, copied)
        copy = self._ask("read", to, lambda: self._head(to))
        if copy is None or copy["size"] != size:
            raise Unreachable(f"{self.url}/{to} is not the copy that was asked for: {self.url}/{key} stays where it is")
        if not still():
            return False
        try:
            self.remove(key)
        except Unreachable as trouble:
            raise type(trouble)(f"{trouble}. A copy of it is at {self.url}/{to} by now") from trouble
        return True

    def keeps_versions(self, key: str) -> Literal["yes", "no", "unknown"]:
        """Whether the store gives its objects versions. That it tells none says nothing: it may not tell."""
        meta = self._ask("read", key, lambda: self._head(key))
        told = meta.get("version") if meta is not None else None
        # Google Cloud Storage gives every object a generation, kept or not.
        return "yes" if told and told != "null" and self._scheme.tag != "version" else "unknown"

    def remove(self, key: str) -> None:
        """Delete the object under `key`, whatever it is now. It may be gone already."""
        patience = Patience(self._timeout)
        while True:
            trouble = self._try(lambda: self._obstore.delete(self._client(), self._path(key)))
            if not isinstance(trouble, Trouble) or trouble.kind == "absent":
                return
            if trouble.kind == "lasting" or not patience.again():
                self._fail("delete", key, trouble)
            if self._ask("delete", key, lambda: self._head(key), patience) is None:
                return  # it is gone: the answer alone was lost
