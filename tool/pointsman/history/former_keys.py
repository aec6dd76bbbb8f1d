"""Approvals and evidence that counted, by keys that the file of signers has no more. They count still: audit tells."""

from __future__ import annotations

from itertools import chain

from pointsman.gate import attestations
from pointsman.gate.gate import Gate, Verdict
from pointsman.repo.snapshot import Snapshot
from pointsman.state import consent
from pointsman.state.objects import Oid
from pointsman.trust.allowed_signers import read_signers
from pointsman.trust.ssh_signature import read_signature


class FormerKeys:
    """What was signed for the commits of an audit, held against the signers that count on `main`."""

    def __init__(self, gate: Gate, main: Oid) -> None:
        self._gate = gate
        self._head = Snapshot(gate.repo, main)
        self._by: dict[str, str] = {}  # file → whose signature it is

    def look(self, verdict: Verdict) -> None:
        """What counted for one commit."""
        judged = verdict.evidence
        assert judged is not None
        if judged.consent is not None:
            self._by |= {each.path: str(each) for each in judged.consent.by}
        self._by |= {each.path: each.by for each in chain.from_iterable(judged.attested.values()) if each.path}

    def note(self) -> str:
        """Whose keys are gone, and one file that each of them signed; "" if none is."""
        if not self._by:
            return ""
        signers = self._gate.consents.policies.signers(self._head)
        keys = {
            space: {each.key for each in read_signers(signers, space)}
            for space in (consent.NAMESPACE, attestations.NAMESPACE)
        }
        gone: dict[str, list[str]] = {}
        for path, by in sorted(self._by.items()):
            signed = self._gate.documents.signed(self._head, path)
            told = read_signature(signed.signature) if signed is not None else None
            space = consent.NAMESPACE if path.startswith("approvals/") else attestations.NAMESPACE
            if told is not None and told.key not in keys[space]:
                gone.setdefault(by, []).append(path)
        who = (f"{by} ({len(paths)}, such as {paths[-1]})" for by, paths in sorted(gone.items()))
        where = self._gate.settings(self._head).allowed_signers
        return f"signed by keys that {where} has no more, and counted then: {', '.join(who)}" if gone else ""
