"""Places: the prefixes below which serving reads its pointers, each with a fence of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.state.names import NAME, Target
from pointsman.state.store_url import Access


class Place(Struct, frozen=True):
    """One prefix that serving reads. URLs have no trailing slash."""

    name: str  # "" for the one of [serving]
    manifest: str  # the URL of a pointer, with {tenant} and {surface}
    access: Access = Access()
    store: str = ""  # the URL of its own replica of the blobs; "": those of [store] are for all
    instance_ttl: int = 900  # seconds: an instance that was not heard for so long is gone
    frozen_after: int | None = None  # seconds without a new commit of main that are too long; None: no time is
    invalidate: tuple[str, ...] = ()  # URLs with {tenant}, optionally {surface}: one for each replica of serving

    @property
    def root(self) -> str:
        """The directory of the template that all targets share, without a trailing slash."""
        return _parts(self.manifest)[0]

    @property
    def depth(self) -> int:
        """How many names a key has below `root`."""
        return self._rest.count("/") + 1

    @property
    def file(self) -> str:
        """What all keys end with: the last name of the template; "" if it is made of the target's."""
        last = self._rest.rpartition("/")[2]
        return "" if "{" in last else last

    def key(self, target: Target) -> str:
        """The key of a target's pointer below `root`."""
        return self._rest.replace("{tenant}", target.tenant).replace("{surface}", target.surface)

    def keys(self, names: Iterable[str]) -> list[str]:
        """The same of many targets, each as it is written."""
        rest = self._rest
        parts = (name.partition("/") for name in names)
        return [rest.replace("{tenant}", tenant).replace("{surface}", surface) for tenant, _, surface in parts]

    def target(self, key: str) -> Target | None:
        """The target whose pointer has this key below `root`; None if no target has it."""
        found = _pattern(self._rest).fullmatch(key)
        try:
            return Target(found["tenant"], found["surface"]) if found else None
        except Problem:
            return None

    def meets(self, other: Place) -> bool:
        """Whether the pointers of one could be listed with those of the other, or its fence be the other's."""
        mine, theirs = f"{self.root}/", f"{other.root}/"
        same = self.access.endpoint == other.access.endpoint or mine.startswith("file:")
        return same and (mine.startswith(theirs) or theirs.startswith(mine))

    @property
    def _rest(self) -> str:
        return _parts(self.manifest)[1]


@cache
def _parts(manifest: str) -> tuple[str, str]:
    """The directory that all targets share, and the rest: keys are asked for by the thousand."""
    root = manifest[: manifest.index("{")].rpartition("/")[0]
    return root, manifest[len(root) + 1 :]


@cache
def _pattern(rest: str) -> re.Pattern[str]:
    """What matches the key of a pointer."""
    pattern = re.escape(rest).replace(r"\{tenant\}", f"(?P<tenant>{NAME})")
    return re.compile(pattern.replace(r"\{surface\}", f"(?P<surface>{NAME})"))
