"""Evidence about the versions that a ship brings: what landed on main before it, by whom, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from pointsman.errors import one_line
from pointsman.gate.consents import Consents
from pointsman.gate.documents import Documents
from pointsman.gate.policies import Policy
from pointsman.repo.snapshot import Snapshot
from pointsman.rules.evidence import Attested, Kind, TargetChange
from pointsman.settings import Settings
from pointsman.state.demands import EvidenceDemand
from pointsman.state.documents import Signed
from pointsman.state.names import Target
from pointsman.state.paths import path_kind
from pointsman.trust.allowed_signers import Signer, read_signers
from pointsman.trust.keygen import NoKeygen
from pointsman.trust.ssh_signature import read_signature

NAMESPACE = "pointsman-evidence"


class Attestations:
    """Reads the evidence of changes of one repository."""

    def __init__(self, documents: Documents, consents: Consents) -> None:
        self._documents = documents
        self._repo = documents.repo
        self._consents = consents

    def of(
        self,
        base: Snapshot,
        settings: Settings,
        targets: Sequence[TargetChange],
        *,
        now: int | None = None,
        believes: bool = False,
    ) -> Mapping[Target, tuple[Attested, ...]]:
        """What is demanded for each version that a ship brings, and what of it is there.

        `now`: before the merge, seconds since 1970: evidence may not be older than its `max_age` then. `believes`:
        where signatures cannot be verified, take those of keys that may attest for right.
        """
        policy = self._consents.policies.at(base, settings)
        if policy is None or not policy.settings.evidence:
            return {}
        found = {}
        for change in targets:
            versions = change.after.versions if change.kind is Kind.SHIP and change.after is not None else {}
            slots = {slot: versions[slot] for slot in change.changed if slot in versions}
            found[change.target] = tuple(self._of_slots(base, policy, change.target, slots, now, believes=believes))
        return found

    def about(self, base: Snapshot, target: Target, slot: str, version: str) -> list[tuple[str, Signed]]:
        """The evidence about a version that is on the base, each with its path. Nothing of it is verified."""
        found = []
        for name in base.files_beginning(f"registry/{target}/{slot}", f"{version}."):
            path = f"registry/{target}/{slot}/{name}"
            if path_kind(path) == "evidence":
                signed = self._documents.signed(base, path)
                subjects = signed.statement.subjects if signed is not None and signed.statement is not None else ()
                if signed is not None and (target, slot, version) in subjects:
                    found.append((path, signed))
        return found

    def signer(self, base: Snapshot, path: str, signed: Signed) -> str:
        """Who signed evidence, by the file of signers that counts on the base; "" if nobody whom it has for that."""
        data = self._consents.policies.signers(base)
        try:
            return self._signer(base, path, signed, read_signers(data, NAMESPACE), believes=False)
        except NoKeygen:
            return ""

    def _of_slots(
        self,
        base: Snapshot,
        policy: Policy,
        target: Target,
        slots: Mapping[str, str],
        now: int | None,
        *,
        believes: bool,
    ) -> Iterator[Attested]:
        for slot, version in slots.items():
            there = self.about(base, target, slot, version)
            for demand in policy.settings.evidence:
                if demand.wants(slot):
                    mine = [
                        (path, each) for path, each in there if each.statement and each.statement.name == demand.name
                    ]
                    told = self._judge(base, policy, demand, mine, now, believes=believes)
                    yield from (replace(each, slot=slot) for each in told)

    def _judge(
        self,
        base: Snapshot,
        policy: Policy,
        demand: EvidenceDemand,
        there: Sequence[tuple[str, Signed]],
        now: int | None,
        *,
        believes: bool,
    ) -> Iterator[Attested]:
        """Of each allowed signer the evidence that landed last; one without a signer if there is none."""
        signers = [
            each
            for each in read_signers(policy.signers, NAMESPACE)
            if not demand.signers or {*each.names} & {*demand.signers}
        ]
        latest: dict[str, list[tuple[int, str, Signed]]] = {}
        unproven = ""
        for path, signed in there:
            try:
                by = self._signer(base, path, signed, signers, believes=believes)
            except NoKeygen as error:
                unproven = str(error)
                continue
            if by:
                height = self._consents.landings.place(base, path)
                latest.setdefault(by, []).append((height, path, signed))
        for by, every in sorted(latest.items()):
            last = max(height for height, _, _ in every)
            for _, path, signed in sorted(each for each in every if each[0] == last):
                yield self._attested(base, demand, by, path, signed, now)
        if not latest:
            yield Attested(demand.name, says=unproven or "there is none")

    def _signer(self, base: Snapshot, path: str, signed: Signed, signers: Sequence[Signer], *, believes: bool) -> str:
        """Who signed it, of those who may; "" if nobody. NoKeygen if that cannot be told."""
        told = read_signature(signed.signature)
        if told is None or all(each.key != told.key for each in signers):
            return ""  # nobody's whom it could count for: it costs no ssh-keygen
        try:
            key = self._consents.proven.key(signed.payload, signed.signature, NAMESPACE)
        except NoKeygen:
            if not believes:
                raise
            key = told.key
        if self._consents.void(base, path, key, signers):
            return ""
        return " = ".join(sorted({name for each in signers if each.key == key for name in each.names}))

    def _attested(
        self, base: Snapshot, demand: EvidenceDemand, by: str, path: str, signed: Signed, now: int | None
    ) -> Attested:
        assert signed.statement is not None
        statement = signed.statement
        if not statement.meets(demand.where):
            told = ", ".join(f"{name} = {_shown(statement.predicate.get(name))}" for name in demand.where)
            return Attested(demand.name, by, path, says=told, against=True)
        if demand.max_age is not None and now is not None:
            age = now - self._consents.landings.landed(base, path)
            if age > demand.max_age:
                return Attested(demand.name, by, path, says=f"it is {age // 86400} days old, which is too old")
        return Attested(demand.name, by, path, meets=True)


def _shown(value: object) -> str:
    return one_line(str(value))[:60] if value is not None else "nothing"
