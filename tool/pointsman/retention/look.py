"""gc's look: what main, the branches and serving say at one moment about versions that a marker names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct, field

from pointsman.errors import MovedFirst
from pointsman.gate.documents import retired_by
from pointsman.repo.present import present
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.recorded import Recorded
from pointsman.retention.ripe import Tombstones
from pointsman.retention.served import Served, claimed, versions_named, waiting
from pointsman.retention.stored import Stored
from pointsman.retention.trash import Slot
from pointsman.settings import Settings
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.paths import path_kind
from pointsman.workspace import Workspace

_TRIES = 4


class Party(Struct):
    """One repository whose records count. `settled`: its settings as gc began."""

    workspace: Workspace
    main: Oid
    settings: Settings
    served: Served = field(default_factory=Served)
    heads: tuple[object, frozenset[str]] = ((), frozenset())  # main and heads of branches, and what these name
    _taken_back: tuple[object, frozenset[str]] = ((), frozenset())  # the same, and whose tombstones these delete
    stones: dict[Oid, Tombstones] = field(default_factory=dict)

    @classmethod
    def of(cls, workspace: Workspace) -> Party:
        main = workspace.repo.refresh()
        workspace.gate.consents.policies.always = True  # it takes what sync would still serve by settings that count
        return cls(workspace, main, workspace.gate.settings(Snapshot(workspace.repo, main)))

    def recorded(self, *, latest: bool = False) -> Recorded:
        """Its records, to be asked in the order of a listing; `latest`: those of the main that it looked at last."""
        return Recorded(self.workspace.repo, next(iter(self.stones), self.main) if latest else self.main)

    def look(self, *, sure: bool = False) -> View:
        """What it has now; `sure`: by the side that takes pushes, too, before something is taken.

        MovedFirst if that cannot be told, or if the settings moved its store or serving.
        """
        repo = self.workspace.repo
        for again in range(_TRIES):
            try:
                main, heads = present(repo, sure=sure)
                break
            except MovedFirst:
                if again == _TRIES - 1:
                    raise
        now = self.workspace.gate.settings(Snapshot(repo, main))
        if (now.store, now.serving, now.access) != (self.settings.store, self.settings.serving, self.settings.access):
            raise MovedFirst("the settings on main moved the store or serving meanwhile: run pointsman gc again")
        if main not in self.stones:
            self.stones = {main: Tombstones(self.workspace.gate, main, self.workspace.now)}
        if (main, heads) != self.heads[0]:
            self.heads = (main, heads), self._named_in(main, heads)
        added = repo.git.added(repo.tree_of(self.main), [repo.tree_of(main)], "registry") if main != self.main else {}
        since = {path.decode(errors="replace") for path in added}
        served = self.served.look(now) | waiting(self.workspace.gate, now, main)
        return View(since, self.heads[1], served, claimed(now), self.stones[main], lambda: self._reverting(main, heads))

    def erases(self, blob: Stored) -> bool:
        """Whether the tombstone of a blob's version, as it was looked at last, says that its bytes must go."""
        stones = next(iter(self.stones.values()), None)
        verdict = stones.verdict(*blob.slot) if stones is not None else None
        return verdict is not None and verdict.tombstone is not None and bool(verdict.tombstone.erase)

    def _named_in(self, main: Oid, heads: Sequence[Oid]) -> frozenset[str]:
        """Every version that a branch records or points to, as far as main does not have that file."""
        repo, git = self.workspace.repo, self.workspace.repo.git
        trees = list(map(repo.tree_of, heads))
        found = git.added(repo.tree_of(main), trees, "registry", "manifests") if heads else {}
        named = frozenset[str]().union(*(versions_named(path) for path in found))
        contents = {oid for oids in found.values() for oid in oids}
        git.read_ahead(contents)
        return named.union(*(versions_named(git.blob(oid)) for oid in contents))

    def _reverting(self, main: Oid, heads: Sequence[Oid]) -> frozenset[str]:
        """The versions whose tombstones a branch deletes, as that of a revert does. Looked for when they matter."""
        if (main, heads) != self._taken_back[0]:
            repo, found = self.workspace.repo, set[str]()
            for head in heads:
                fork = repo.merge_base(main, head)
                changes = repo.differences(fork, head) if fork is not None else ()
                deleted = (change.path for change in changes if change.new is None)
                found.update(retired_by(path)[2] for path in deleted if path_kind(path) == "tombstone")
            self._taken_back = (main, heads), frozenset(found)
        return self._taken_back[1]


class View(Struct, frozen=True):
    """What one repository says. `since`: the files of registry/ that main got since gc began.

    `reverting`: the versions whose tombstones a branch deletes.
    """

    since: set[str]
    heads: frozenset[str]
    served: set[str]
    claimed: set[Target]
    stones: Tombstones
    reverting: Callable[[], frozenset[str]]

    @property
    def named(self) -> frozenset[str]:
        """Every version of which it may be that `spares_orphan` says something."""
        return self.heads.union(self.served, (path[-69:-5] for path in self.since))

    def spares_orphan(self, blob: Stored) -> str:
        """Why a blob that no record named stays; "" if nothing does."""
        if f"registry/{blob.key}" in self.since:  # a record stands under the key of its blob
            return "it was recorded meanwhile"
        if blob.version in self.heads:
            return "a branch names it"
        return "serving names it" if blob.version in self.served else ""

    def spares_retired(self, blob: Stored) -> str:
        """Why a blob with a tombstone stays; "" if nothing does."""
        if blob.version in self.served:
            return "serving still points to it"
        if blob.slot[0] in self.claimed:
            return "somebody claims its target"
        verdict = self.stones.verdict(*blob.slot)
        if verdict is None:
            return "it has no tombstone any more"
        return verdict.why or ("a branch takes its tombstone back" if self.may_come_back(blob.slot) else "")

    def may_come_back(self, slot: Slot) -> bool:
        """Whether a branch takes the tombstone of a version back: that is a revert's flag, until it is merged.

        One that erases is not taken back.
        """
        if slot[2] not in self.reverting():
            return False
        verdict = self.stones.verdict(*slot)
        return verdict is not None and not (verdict.tombstone is not None and verdict.tombstone.erase)
