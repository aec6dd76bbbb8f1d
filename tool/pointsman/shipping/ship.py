"""Shipping: one pull request with the next manifests of some targets. It is judged, opened or adopted, and merged.

Publish, ship and adopt do this when the records are on main. Nothing here changes anything but manifests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from pointsman.errors import Fault, MovedFirst, Problem, Refused, trouble_of
from pointsman.forge.base import Opened
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.report.approvals import approvals_of
from pointsman.settings import Settings
from pointsman.shipping import merge, pulls
from pointsman.shipping.draft import Drafts, Ship, Stopped, Terms, Waiting, Want, without
from pointsman.shipping.pulls import Pull
from pointsman.shipping.supersede import Superseding, reason
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.values import Approvals, ShipOutcome, ShippedTarget, told
from pointsman.workspace import Workspace

_IN_A_ROW = 3  # pull requests that could not be opened or merged; then the others are not tried


class Shipping:
    """Makes one pull request after another. The methods are in the order in which they are called.

    `at_hand`: version → payload, for versions that the store may not have yet.
    """

    def __init__(
        self,
        workspace: Workspace,
        settings: Settings,
        terms: Terms,
        at_hand: Mapping[str, Callable[[], bytes]] | None = None,
    ) -> None:
        self.workspace = workspace
        self.repo = workspace.repo
        self.settings = settings
        self.terms = terms
        self.progress = workspace.progress
        self.drafts = Drafts(workspace, settings, terms, at_hand)
        self.notes = self.drafts.notes
        self._opened: list[Pull] = []
        self._pull: Pull | None = None  # the one that is being shipped, since it is open
        self._reopened: dict[str, str] = {}  # branch → who had closed it
        self._approved: tuple[tuple[Oid, Oid], Approvals | None] | None = None  # of which main and pull request
        self._superseding = Superseding(workspace, self.notes)

    # before anything is written

    def judge(self, wants: Sequence[Want]) -> Waiting:
        """The targets that may not become current, with all faults of each."""
        return self.drafts.judge(wants)

    def prepare(self, wants: Iterable[Want]) -> None:
        """Problem if the forge cannot be used that these need: nothing is stored then that no pull request is for."""
        if self.settings.records == "pull-request" or any(want.ships for want in wants):
            _ = self.workspace.forge

    def preview(self, wants: Sequence[Want]) -> list[ShippedTarget]:
        """What `ship` would do. Here, too, the wants ship something."""
        return [each for group in self.drafts.groups(wants) for each in self._preview(group)]

    def _preview(self, group: Sequence[Want]) -> list[ShippedTarget]:
        ship = self.drafts.next(group)
        if ship is None:
            return [self._shipped(want.target, "unchanged") for want in group]
        if (newer := self._superseding.newer_than(ship, group)) is not None:
            return self._superseded(group, ship, newer)
        return self._told(group, ship, "dry-run")

    def recorded(self, want: Want, *, missing: bool) -> ShippedTarget:
        """The outcome of a target that ships nothing. `missing`: main had not all of its records."""
        dry = self.terms.asked.dry_run
        return self._shipped(want.target, "unchanged" if not missing else "dry-run" if dry else "recorded")

    def waits(self, target: Target, faults: Sequence[Fault]) -> ShippedTarget:
        """The outcome of a target that may not become current."""
        return self._shipped(target, "waits", faults=sorted(set(faults), key=Fault.in_order))

    # the pull request

    def ship(self, wants: Sequence[Want]) -> list[ShippedTarget]:
        """Open, adopt or rebuild the pull request of each group of targets. Merge it if the options say so.

        What stops one target is told of it, and the others go on. Unreachable if that is so of all of them.
        """
        shipped: list[ShippedTarget] = []
        failed: list[Problem] = []  # in a row
        for group in self.drafts.groups(wants):
            if len(failed) >= _IN_A_ROW:
                says = f"not tried, because of the others: {failed[-1]}"
                shipped += [self._shipped(want.target, "waits", says=says) for want in group]
                continue
            try:
                shipped += self._ship(group)
                failed.clear()
            except Exception as error:  # noqa: BLE001 - a bug, too, is told of its own targets
                failed.append(trouble_of(error))
                says = str(failed[-1])
                shipped += [self._shipped(want.target, "waits", pull=self._pull, says=says) for want in group]
        self.repo.settle()
        if failed and all(each.outcome == "waits" and each.faults is None for each in shipped):
            raise failed[-1]
        gone = self._superseding.look_again(self._opened)
        return [
            replace(each, outcome="superseded", says=reason(gone[each.target])) if each.target in gone else each
            for each in shipped
        ]

    def _ship(self, group: Sequence[Want]) -> list[ShippedTarget]:
        shipped: list[ShippedTarget] = []
        while group:
            try:
                return shipped + until_settled(self.repo, partial(self._try, group))
            except Stopped as stopped:  # main has moved since they were judged
                waiting = self._all_or_some(stopped, group)
                shipped += [self.waits(target, faults) for target, faults in waiting.items()]
                group = without(group, waiting)
            except _OthersWork as error:
                return shipped + [self._shipped(want.target, "unchanged", says=str(error)) for want in group]
            except MovedFirst as error:
                says = f"{error}; run: {self.terms.command} again"
                return shipped + [
                    self._shipped(want.target, "moved-first", pull=self._pull, says=says) for want in group
                ]
            except Refused as error:  # the gate does not merge it
                faults = error.faults
                outcome: ShipOutcome = "waits" if merge.waits_for_people(faults) else "refused"
                return shipped + [self._shipped(want.target, outcome, pull=self._pull, faults=faults) for want in group]
        return shipped

    def _all_or_some(self, stopped: Stopped, group: Sequence[Want]) -> Waiting:
        return {want.target: stopped.faults for want in group} if self.terms.asked.all_or_nothing else stopped.waiting

    def _try(self, group: Sequence[Want]) -> list[ShippedTarget]:
        self._pull = None
        ship = self.drafts.next(group)
        if ship is None:
            self.close_merged({want.target for want in group})
            return [self._shipped(want.target, "unchanged") for want in group]
        if (newer := self._superseding.newer_than(ship, group)) is not None:
            return self._superseded(group, ship, newer)
        pull, outcome = self._open(ship)
        self._pull = pull
        if (newer := self._superseding.give_way(pull)) is not None:
            return self._superseded(group, ship, newer, pull)
        commit = None
        if self.terms.asked.merge:
            commit, outcome = merge.merge_pull(self.workspace, pull), "merged"
        elif self.settings.auto_merge:
            commit = merge.merge_when_ready(self.workspace, pull)
            outcome = "merged" if commit is not None else outcome
        self.progress(f"{outcome} {pull.branch}")
        if outcome in ("opened", "updated"):
            self._opened.append(pull)
        return self._told(group, ship, outcome, pull, commit)

    def _superseded(
        self, group: Sequence[Want], ship: Ship, newer: Pull, pull: Pull | None = None
    ) -> list[ShippedTarget]:
        self.progress(f"superseded by {newer.branch}")
        return self._told(group, ship, "superseded", pull, says=reason(newer))

    def _told(
        self,
        group: Sequence[Want],
        ship: Ship,
        outcome: ShipOutcome,
        pull: Pull | None = None,
        commit: Oid | None = None,
        *,
        says: str = "",
    ) -> list[ShippedTarget]:
        """The outcome of the targets that a ship changes. The others of the group are as main has them."""
        return [
            self._shipped(want.target, outcome, pull, commit, says=says)
            if want.target in ship.manifests
            else self._shipped(want.target, "unchanged")
            for want in group
        ]

    def _open(self, ship: Ship) -> tuple[Pull, ShipOutcome]:
        ref = f"refs/heads/{ship.branch}"
        was = self.repo.heads.get(ref)
        if was is not None:
            pull = pulls.read_pull(self.repo, Opened(ship.branch, was))
            replaces = {said.target: said.supersedes for said in pull.message.said}
            if replaces == {said.target: said.supersedes for said in ship.said}:
                return self._shown(ship.branch, was), "unchanged"
            if other := pulls.others_work(self.repo, pull):
                raise _OthersWork(
                    f"{ship.branch} is out of date, and has a commit that no publish made ({other}): "
                    f"close it with pointsman pr close {pull.id}; run: {self.terms.command} again"
                )
        commit = self._commit(ship)
        passing = self.terms.asked.merge  # a branch that stays is settled in `ship`
        stopped = pulls.replace_head(self.workspace, ship.branch, commit, was, passing=passing)
        if stopped and not self.settings.auto_merge:
            self.notes.append(f"{ship.branch} does not merge by itself any more: {pulls.OLD_MESSAGE}")
        pull = self._shown(ship.branch, commit, updated=was is not None)
        return pull, "opened" if was is None else "updated"

    def _shown(self, branch: str, head: Oid, *, updated: bool = False) -> Pull:
        """The pull request of a branch on the forge; that somebody had closed it is kept for the result."""
        pull = pulls.show_on_forge(self.workspace, branch, head, updated=updated, tells=False)
        if pull.opened.reopens:
            self._reopened[branch] = pull.opened.reopens
        return pull

    def _commit(self, ship: Ship, author: str | None = None) -> Oid:
        tree = self.repo.tree_with(self.repo.tree_of(ship.main), dict(ship.files))
        return self.repo.commit(tree, [ship.main], ship.message, author=author)

    def rebuilt(self, group: Sequence[Want]) -> Ship | None:
        """The ship that a stale pull request of these targets should be now, judged; None if main has it."""
        return self.drafts.next(group)

    def push(self, ship: Ship, pull: Pull) -> Pull:
        """Replace the commit of a pull request with a ship."""
        commit = self._commit(ship, pull.author)
        pulls.replace_head(self.workspace, pull.branch, commit, pull.head)
        return pulls.renew(self.workspace, pull, commit)

    def close_merged(self, targets: set[Target]) -> None:
        """Finish a merge that was killed between moving main and deleting the branch.

        Nor does a ship stay open that somebody else made at the same time, and was faster to merge.
        """
        for pull in pulls.open_pulls(self.workspace, pulls.branches_of(self.repo, targets)):
            merged = merge.merged_as(self.repo, self.repo.main, pull) is not None
            if targets & set(pull.targets) and (merged or merge.is_overtaken(self.workspace, pull)):
                pulls.close_pull(self.workspace, pull, "" if merged else "Closed: main has what it ships.")
                self.progress(f"closed {pull.branch}, which main has")

    # the result

    def _shipped(
        self,
        target: Target,
        outcome: ShipOutcome,
        pull: Pull | None = None,
        commit: Oid | None = None,
        *,
        faults: Sequence[Fault] = (),
        says: str = "",
    ) -> ShippedTarget:
        commit = commit or (pull.head if pull is not None else self._had(target) if outcome == "unchanged" else None)
        data = Snapshot(self.repo, commit or self.repo.main).read(target.manifest_path)
        return ShippedTarget(
            target=str(target),
            outcome=outcome,
            pull_request=pulls.reference(pull) if pull is not None else None,
            manifest_sha256=hashlib.sha256(data).hexdigest() if data is not None else None,
            commit=commit,
            approvals=self._approvals(pull.head) if pull is not None and outcome != "merged" else None,
            faults=list(map(told, faults)) or None,
            says=says or None,
            reopens=self._reopened.get(pull.branch) if pull is not None else None,
        )

    def _approvals(self, head: Oid) -> Approvals | None:
        """Who has approved a pull request, and who may; read once for all targets of it."""
        gate, main = self.workspace.gate, self.repo.main
        if self._approved is None or self._approved[0] != (main, head):
            self._approved = (main, head), approvals_of(gate, main, gate.consent(main, head))
        return self._approved[1]

    def _had(self, target: Target) -> Oid:
        """The commit of main that made what is current; main itself where nothing is, but its records are there."""
        last = self.workspace.gate.lineage(self.repo.main, target).last
        return last.commit.oid if last is not None else self.repo.main


class _OthersWork(Exception):
    """The branch that would be rebuilt has commits of someone else."""
