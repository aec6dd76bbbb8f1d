"""The branches of an origin, also by the directory that their names are in: thousands may be open at once."""

from __future__ import annotations

from collections.abc import Mapping

from pointsman.state.objects import Oid


class Heads(dict[str, Oid]):
    """Ref → commit."""

    def __init__(self, found: Mapping[str, Oid]) -> None:
        super().__init__()
        self._below: dict[str, dict[str, None]] = {}
        for ref, oid in found.items():
            self[ref] = oid

    def __setitem__(self, ref: str, oid: Oid) -> None:
        self._below.setdefault(ref.rpartition("/")[0], {})[ref] = None
        super().__setitem__(ref, oid)

    def drop(self, ref: str) -> None:
        """Forget a ref, if it is known."""
        self._below.get(ref.rpartition("/")[0], {}).pop(ref, None)
        self.pop(ref, None)

    def below(self, directory: str) -> list[str]:
        """The refs that have one more name than `directory`."""
        return list(self._below.get(directory, ()))
