"""Who approved a change: what is approved, which approvals landed on main before it, and whose they are.

The answer depends only on the change and on the history of main before it. So it is the same before the merge, after
it, and years later. How main got the change, by squash, rebase or merge commit, plays no part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.gate.documents import Documents
from pointsman.gate.lineage import Past
from pointsman.gate.policies import Policies, Policy, deciding_lines, deciding_paths
from pointsman.repo.chain_file import Commits
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Approval, Consent, Kind, TargetChange
from pointsman.settings import Settings
from pointsman.state.consent import NAMESPACE, payload_of, removed, restored, subject_of
from pointsman.state.documents import Signed
from pointsman.state.message import Message, vouching
from pointsman.state.objects import Change, Commit, Oid
from pointsman.state.paths import path_kind, target_of
from pointsman.trust.allowed_signers import Signer, names_by_key, persons, read_signers
from pointsman.trust.keygen import NoKeygen
from pointsman.trust.proven import Proven
from pointsman.trust.ssh_signature import fingerprint, read_signature

_SHOWN = 8  # names


class Consents:
    """Counts the approvals of changes of one repository."""

    def __init__(self, documents: Documents, past: Past) -> None:
        self._documents = documents
        self._repo = documents.repo
        self._past = past
        self.proven = Proven(self._repo.git_dir)
        self.policies = Policies(documents, self._is_approved)
        self.landings = Landings(documents)

    def of(
        self,
        base: Snapshot,
        head: Snapshot,
        settings: Settings,
        changes: Sequence[Change] | None,
        targets: Iterable[TargetChange],
        message: Message,
        *,
        tip: Oid | None = None,
        past: bool = False,
    ) -> Consent | None:
        """The consent to a change from `base` to `head`; None if it needs none.

        `settings`: of the base. `changes`: None to read them only if they matter. `tip`: whose history has the change,
        if it is merged. `past`: it is judged only because something later asks whether it was good. Where signatures
        cannot be verified, those of keys that may approve are then believed, so that restores go on.
        """
        policy = self.policies.at(base, settings)
        if policy is None or not policy.settings.approvals:
            return None
        if changes is None:
            assert base.commit is not None
            assert head.commit is not None
            changes = self._repo.differences(base.commit, head.commit)
        paths = {each.target.manifest_path for each in targets if self._needs_approval(each, base, tip)}
        paths |= deciding_paths(policy, head, changes)
        if not paths:
            return None
        consent = self.count(base, policy, self.lines(base, head, policy, changes, message), believes=past)
        return replace(consent, paths=frozenset(paths))

    def _needs_approval(self, change: TargetChange, base: Snapshot, tip: Oid | None) -> bool:
        """Whether a change of a manifest needs approval. A restore does where it undoes what a restore took out."""
        if change.kind is Kind.REMOVAL:
            return not change.undoes_first
        if change.kind is not Kind.RESTORE or base.commit is None or change.after is None:
            return True
        versions = change.after.versions
        changed = {slot: versions[slot] for slot in change.changed if slot in versions}
        return bool(self._past.taken_out(base.commit, change.target, changed, tip=tip))

    # what is approved

    def lines(
        self, base: Snapshot, head: Snapshot, policy: Policy, changes: Iterable[Change], message: Message
    ) -> list[str]:
        """The lines of a change: those of its messages, and of what no message tells."""
        lines = [*message.vows, *deciding_lines(policy, base, head, changes)]
        for change in changes:
            if path_kind(change.path) != "manifest":
                continue
            target, data = target_of(change.path), self._repo.content(change.new)
            if data is not None and vouching(message, target, data) is not None:
                continue
            step = self._past.lineage(base.commit, target).last
            last = step.commit.oid if step is not None else None
            lines += removed(target, last) if data is None else restored(target, data, last)
        return lines

    # who approved it

    def count(self, base: Snapshot, policy: Policy, lines: Iterable[str], *, believes: bool = False) -> Consent:
        """Who has approved these lines on main up to `base`, and who else may."""
        kept = tuple(payload_of(lines).decode(errors="surrogateescape").splitlines())
        consent = Consent(subject_of(kept), kept, policy.settings.approvals)
        signers = read_signers(policy.signers, NAMESPACE)
        found: dict[bytes, str] = {}
        void: list[str] = []
        unproven = ""
        for path, signed in self._approvals(base, consent.subject):
            told = read_signature(signed.signature)
            key = told.key if told is not None else None
            if any(each.key == key for each in signers):  # a stranger's costs no ssh-keygen
                try:
                    key = self.proven.key(signed.payload, signed.signature, NAMESPACE)
                except NoKeygen as error:
                    unproven = str(error)
                    if not believes:
                        continue
            if why := self.void(base, path, key, signers):
                void.append(why)
            elif key is not None:
                found.setdefault(key, path)
        consent = replace(consent, void=tuple(void), unproven=unproven)
        return self._counted(consent, signers, found)

    def _counted(self, consent: Consent, signers: Sequence[Signer], found: dict[bytes, str]) -> Consent:
        """`found`: key → the file of its approval."""
        names = names_by_key(signers)
        by = tuple(
            Approval(person, next(path for key, path in found.items() if names[key] & {*person}))
            for person in sorted(persons({key: names[key] for key in found}))
        )
        known = {name for each in by for name in each.names}
        others = sorted(" = ".join(each) for each in persons(names) if not known & {*each})
        return replace(consent, by=by, lacking=tuple(others))

    def _approvals(self, base: Snapshot, subject: str) -> Iterable[tuple[str, Signed]]:
        """The approvals of a subject that are on the base, each with its path."""
        for name in base.files_beginning("approvals", f"{subject}."):
            if path_kind(path := f"approvals/{name}") == "approval":
                signed = self._documents.signed(base, path)
                if signed is not None and signed.approval_path == path:
                    yield path, signed

    def void(self, base: Snapshot, path: str, key: bytes | None, signers: Sequence[Signer]) -> str:
        """Why the approval or the evidence in a file does not count; "" if it does.

        `key`: whose signature it is, None if it is wrong.

        What counts is the time at which it landed: the latest clock of main up to then, which nobody can set back.
        """
        if key is None:
            return f"the signature in {path} is not right"
        mine = [each for each in signers if each.key == key]
        if not mine:
            return f"the key {fingerprint(key)} is none that may approve"
        if all(each.has_limits for each in mine):
            at = self.landings.landed(base, path)
            if not any(each.is_valid_at(at) for each in mine):
                return f"the key {fingerprint(key)} of {mine[0].names[0]} was not valid when its approval landed"
        return ""

    def signer(self, base: Snapshot, key: bytes, now: int, namespace: str) -> str:
        """All names of those whose key it is, if they may sign in a namespace now; Problem if not.

        `now`: seconds since 1970.
        """
        settings = self._documents.settings(base)
        policy = self.policies.at(base, settings)
        where = policy.settings.allowed_signers if policy is not None else settings.allowed_signers
        if not where:
            raise Problem("main names no file of those who may sign: set [audit] allowed_signers in pointsman.toml")
        every = read_signers(policy.signers if policy is not None else base.read(where) or b"", namespace)
        mine = [each for each in every if each.key == key]
        if not mine:
            names = sorted({name for each in every for name in each.names})
            says = f"those who may are {', '.join(names[:_SHOWN])}" if names else "no line of it names that namespace"
            needs = f'a line of {where} on main with namespaces="{namespace}" and this key'
            does = "approve" if namespace == NAMESPACE else "attest"
            raise Problem(f"the key {fingerprint(key)} may not {does}, that needs {needs}: {says}")
        if not any(each.is_valid_at(now) for each in mine):
            raise Problem(f"the key {fingerprint(key)} of {mine[0].names[0]} is not valid now, by {where} on main")
        return " = ".join(sorted({name for each in mine for name in each.names}))

    def _is_approved(self, commit: Commit, policy: Policy) -> bool:
        """Whether a commit of main that changes the settings or the signers was approved by those before it."""
        base = Snapshot(self._repo, commit.parents[0] if commit.parents else None)
        head = Snapshot(self._repo, commit.oid)
        if base.commit is None:
            return False
        changes = self._repo.differences(base.commit, commit.oid)
        lines = self.lines(base, head, policy, changes, self._past.message(commit))
        return self.count(base, policy, lines).is_given


class Landings:
    """When a file landed on main: at the latest clock of all commits up to the one that brought it."""

    def __init__(self, documents: Documents) -> None:
        self._repo = documents.repo
        self._top: Commits | None = None
        self._latest: list[int] = []  # of each commit, oldest first, the latest clock up to it

    def landed(self, base: Snapshot, path: str) -> int:
        """Seconds since 1970, for a file that `base` has."""
        assert base.commit is not None
        commit = next(self._repo.history(base.commit, path), None)
        return self.at(base.commit, commit.oid) if commit is not None else 0

    def place(self, base: Snapshot, path: str) -> int:
        """How many commits of main came before the one that brought a file; for files that `base` has."""
        assert base.commit is not None
        commit = next(self._repo.history(base.commit, path), None)
        if commit is None:
            return 0
        self.at(base.commit, commit.oid)
        assert self._top is not None
        return self._top.find(commit.oid) or 0

    def at(self, tip: Oid, commit: Oid) -> int:
        """The latest clock of the commits up to `commit`, which is in the first-parent history of `tip`."""
        if self._top is None or self._top.find(commit) is None:
            self._repo.deepen_to_first()
            self._top = self._repo.clocks(tip)
            self._latest = list(accumulate(reversed(self._top.clocks), max))
        height = self._top.find(commit)
        assert height is not None
        return self._latest[height - (self._top.height - len(self._top) + 1)]
