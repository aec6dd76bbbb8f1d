"""What counts as approved: the settings and the file of signers, as their approved changes have made them.

Whoever may push to main could else lower the threshold, or add a key, and then ship. So a change of these files counts
only if it was approved by the threshold and the file before it. That is decidable from the history of main alone. A
file that goes back to the bytes that count needs no approval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.gate.documents import Documents
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import SETTINGS_PATH, Settings, read_settings
from pointsman.state.consent import changed
from pointsman.state.objects import Change, Commit, Oid


class Policy(Struct, frozen=True):
    """The settings and the file of signers that count. `commit`: which made them so; None: none had to be approved."""

    settings: Settings
    text: bytes  # of the settings
    signers: bytes
    commit: Oid | None = None

    @property
    def demands(self) -> bool:
        """Whether a change needs anybody's approval, or a ship any evidence."""
        return bool(self.settings.approvals or self.settings.evidence)


# Whether a commit, or a change on one, has the approvals that a policy demands for its files.
IsApproved = Callable[[Commit, Policy], bool]


class Policies:
    """What counted at each commit of one repository. `remembered`: what counted when main was seen last."""

    def __init__(self, documents: Documents, is_approved: IsApproved) -> None:
        self._documents = documents
        self._repo = documents.repo
        self._is_approved = is_approved
        self.remembered: Policy | None = None  # see `remember`
        self.always = False  # also where the settings demand nothing: an audit knows the whole history
        self._after: dict[Oid, Policy | None] = {}
        self._rewritten: dict[Oid, bool] = {}  # main → whether it did not grow from the commit that is remembered
        self._paths: dict[Oid, frozenset[str]] = {}

    def remember(self, policy: Policy | None) -> bool:
        """Keep what counted when main was seen last; whether that is news: what was judged by now is void then.

        None, from where nothing is remembered yet, forgets nothing.
        """
        if policy is None or policy == self.remembered:
            return False
        self.remembered = policy
        self._after.clear()
        self._rewritten.clear()
        return True

    def counted(self, head: Snapshot) -> Settings:
        """The settings that count at a commit: those that stand there, or the last ones that were approved."""
        settings = self._documents.settings(head)
        policy = self.at(head, settings)
        return policy.settings if policy is not None else settings

    def signers(self, head: Snapshot) -> bytes:
        """The file of signers that counts at a commit: the one that stands there, or the last one that was approved."""
        settings = self._documents.settings(head)
        policy = self.at(head, settings)
        if policy is not None:
            return policy.signers
        return (head.read(settings.allowed_signers) if settings.allowed_signers else None) or b""

    def approved(self, head: Snapshot) -> Policy | None:
        """What counts at a commit, if it demands approvals."""
        policy = self.at(head, self._documents.settings(head))
        return policy if policy is not None and policy.settings.approvals else None

    def note(self, head: Snapshot) -> str:
        """What of a commit does not count, because nobody approved it; "" if all does."""
        policy = self.approved(head)
        if policy is None:
            return ""
        counts = {SETTINGS_PATH: policy.text, policy.settings.allowed_signers: policy.signers}
        other = [path for path, data in counts.items() if (head.read(path) or b"") != data]
        if not other:
            return ""
        says = "do not count: they were" if len(other) > 1 else "does not count: it was"
        says += " changed without the approvals that this needs; approve the change, or revert it"
        return f"{' and '.join(other)} on main {says}"

    def at(self, base: Snapshot, settings: Settings) -> Policy | None:
        """What counts for a change of a base that has these settings; None if nothing is demanded."""
        commit = base.commit
        if commit is None or not (settings.approvals or settings.evidence or self.remembered or self.always):
            return None
        found = self._fold(commit)
        return found if found is not None and found.demands else None

    def _fold(self, tip: Oid) -> Policy | None:
        """The policy after the last commit up to `tip` that changed one of its files."""
        deciding = list(self._repo.history(tip, SETTINGS_PATH, *self._signers_paths(tip)))
        known = next((place for place, commit in enumerate(deciding) if commit.oid in self._after), len(deciding))
        policy = self._after[deciding[known].oid] if known < len(deciding) else self._first()
        for commit in reversed(deciding[:known]):
            policy = self._after[commit.oid] = self._next(policy, commit)
        return policy

    def _first(self) -> Policy | None:
        """What counts before all else: nothing, or what is remembered of another history than that of main now."""
        kept = self.remembered
        if kept is None or kept.commit is None:
            return None
        main = self._repo.main
        if main not in self._rewritten:
            self._rewritten[main] = not self._repo.grew_from(kept.commit, main)
        return kept if self._rewritten[main] else None

    def _signers_paths(self, tip: Oid) -> frozenset[str]:
        """Every file of signers that the settings up to `tip` ever named."""
        newest = next(self._repo.history(tip, SETTINGS_PATH), None)
        if newest is None:
            return frozenset()
        if newest.oid not in self._paths:
            entries = (change.new for commit in self._repo.history(tip, SETTINGS_PATH) for change in commit.changes)
            texts = {entry: self._repo.content(entry) for entry in entries}
            found = (_read(text) for text in texts.values() if text is not None)
            self._paths[newest.oid] = frozenset(each.allowed_signers for each in found if each and each.allowed_signers)
        return self._paths[newest.oid]

    def _next(self, policy: Policy | None, commit: Commit) -> Policy | None:
        """What counts after a commit, if that was before it."""
        head = Snapshot(self._repo, commit.oid)
        text = head.read(SETTINGS_PATH)
        settings = _read(text) if text is not None else None
        if policy is None or not policy.settings.approvals:
            if settings is None or text is None:
                return policy
            return Policy(settings, text, head.read(settings.allowed_signers) or b"", commit.oid)
        if not deciding_paths(policy, head, commit.changes) or not self._is_approved(commit, policy):
            return policy
        touched = {change.path for change in commit.changes}
        if SETTINGS_PATH in touched and settings is not None and text is not None:
            moved = settings.allowed_signers != policy.settings.allowed_signers
            policy = replace(policy, settings=settings, text=text, commit=commit.oid)
            touched |= {settings.allowed_signers} if moved else set()
        path = policy.settings.allowed_signers
        return replace(policy, signers=head.read(path) or b"", commit=commit.oid) if path in touched else policy


def _read(text: bytes) -> Settings | None:
    try:
        return read_settings(text)
    except Problem:
        return None


def deciding_paths(policy: Policy, head: Snapshot, changes: Iterable[Change]) -> frozenset[str]:
    """The changed paths that decide who may approve what, but for those that go back to what counts."""
    counts: Mapping[str, bytes] = {SETTINGS_PATH: policy.text, policy.settings.allowed_signers: policy.signers}
    return frozenset(
        change.path for change in changes if change.path in counts and head.read(change.path) != counts[change.path]
    )


def deciding_lines(policy: Policy, base: Snapshot, head: Snapshot, changes: Iterable[Change]) -> list[str]:
    """The lines of a change of these files. A file of signers that the new settings name has one, too."""
    paths = {*deciding_paths(policy, head, changes)}
    text = head.read(SETTINGS_PATH) if SETTINGS_PATH in paths else None
    settings = _read(text) if text is not None else None
    if settings is not None and settings.allowed_signers != policy.settings.allowed_signers:
        paths |= {settings.allowed_signers} - {""}
    return [changed(path, base.read(path), head.read(path)) for path in sorted(paths)]
