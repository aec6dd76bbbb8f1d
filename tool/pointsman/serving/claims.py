"""Claims at a place: what break-glass says of a target while git cannot be reached, and whether it holds.

A claim holds a target only if it is signed by someone whom main allows to, in its time, about a state that main had in
good order, and as long as main has nothing newer than what the claim knew. Any other claim holds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from pointsman.errors import Blocked, Problem
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Step
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.outcomes import ToldClaim
from pointsman.serving.pointers import open_place
from pointsman.settings import Settings
from pointsman.state.claim import NAMESPACE, SKEW, Claim, ended, has_ended, read_claim
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target, short
from pointsman.state.objects import Oid
from pointsman.state.place import Place
from pointsman.store.base import Held, Store
from pointsman.store.closed import Closed, behind
from pointsman.store.parallel import ask_all
from pointsman.trust import keygen
from pointsman.trust.allowed_signers import Signer, read_signers
from pointsman.trust.ssh_signature import read_signature

DIRECTORY = ".pointsman/claims/"

_IS_MAIN = "main has its state now"


class Standing(Struct, frozen=True):
    """What a claim means now. `says`: why it holds nothing; "" if it holds. `data`: what it put in front of serving."""

    claim: Claim | None  # None: nobody can read it
    signer: str = ""
    says: str = ""
    is_over: bool = False  # it held until main moved on, or until its time was up
    is_main: bool = False  # main has its state
    data: bytes = b""
    was_served: bool = False  # sync found it in front of serving, and put main's back

    @property
    def holds(self) -> bool:
        return not self.says


def claim_key(target: Target) -> str:
    """The key of the claim of a target below the root of a place."""
    return f"{DIRECTORY}{target.tenant}/{target.surface}.json"


def every_claim(settings: Settings) -> Iterator[tuple[Place, Target, bytes]]:
    """The bytes of every claim at every place, whether it holds or has ended. Unreachable if one cannot be read."""
    for place in settings.serving:
        for target, held in _claims_at(open_place(place), None):
            yield place, target, held.data


def open_claims(settings: Settings) -> Iterator[tuple[Place, Target, bytes]]:
    """Those that have not ended, whether they hold or not."""
    return ((place, target, data) for place, target, data in every_claim(settings) if not has_ended(data))


def claims_at(
    store: Store, targets: Iterable[Target] | None = None, closed: Closed | None = None
) -> dict[Target, Held]:
    """What stands at a place as a claim and has not ended; of these targets, or of all.

    `closed` gets the directories that cannot be listed, and claims in them are missed; without it, Blocked.
    """
    return {target: held for target, held in _claims_at(store, targets, closed) if not has_ended(held.data)}


def unknown_claim(target: Target, closed: Closed) -> Blocked | None:
    """Why nobody knows whether a target has a claim; None if it is known."""
    return behind(claim_key(target), closed)


def _claims_at(
    store: Store, targets: Iterable[Target] | None, closed: Closed | None = None
) -> Iterator[tuple[Target, Held]]:
    if targets is None:
        targets = [target for key in store.keys(DIRECTORY, 2, closed) if (target := _target_of(key)) is not None]
    asked = list(targets)

    def read(target: Target) -> Held | None:
        try:
            return store.read(claim_key(target))
        except Blocked as blocked:  # what nobody can read holds nothing, and is told
            list(store.keys(DIRECTORY, 2, closed))  # Blocked if it is the directory: then claims may be missed
            return Held(str(blocked).encode(), "") if unknown_claim(target, closed or {}) is None else None

    for target, held in zip(asked, ask_all(read, asked, at_once=store.at_once), strict=True):
        if held is not None:
            yield target, held


def end_claim(store: Store, target: Target, held: Held, says: str, now: float) -> None:
    """Say in the place of a claim that it has ended; MovedFirst if another one stands there by now."""
    store.replace(claim_key(target), ended(says, rfc3339(int(now))), was=held.tag)


class Claims:
    """Judges claims by one commit of main. `now`: seconds since 1970."""

    def __init__(self, gate: Gate, main: Oid, now: float) -> None:
        self._gate = gate
        self._main = main
        self._now = int(now)
        self._signers: tuple[Signer, ...] | None = None
        self._told: Mapping[str, str] = {}

    def judge(self, place: Place, target: Target, data: bytes) -> Standing:
        """What an object means that stands as a claim. Problem if ssh-keygen cannot be run, and nobody can tell."""
        claim = read_claim(data, target)
        if claim is None:
            return Standing(None, says=f"what stands as a claim is none of {target}")
        if claim.place != place.name:
            return Standing(claim, says=f"it is of the place {claim.place or 'without a name'}, and stands at another")
        if not claim.signature:
            return Standing(claim, says="it is not signed")
        signer = self._signer(claim)
        if not signer:
            return Standing(claim, says=f"nobody signed it whom main's allowed signers name for {NAMESPACE}")
        if claim.begins > self._now + SKEW:
            return Standing(claim, signer, says=f"it begins at {claim.at}, which is still to come")
        step = self._step(claim, target)
        if step is None:
            return Standing(claim, signer, says=f"main never had its state ({short(claim.state)}) in good order")
        if says := self._moved(claim, target):
            return Standing(claim, signer, says=says, is_over=True, is_main=says.startswith(_IS_MAIN))
        if claim.ends <= self._now:
            return Standing(claim, signer, says=f"it held until {claim.until}", is_over=True)
        return Standing(claim, signer, data=self._gate.repo.content(step.after) or b"")

    def _signer(self, claim: Claim) -> str:
        """Who signed it, of those who may; "" if nobody did."""
        signature = read_signature(claim.signature)
        if signature is None or signature.namespace != NAMESPACE:
            return ""
        names = [
            each.names[0]
            for each in self._allowed()
            if each.key == signature.key and each.is_valid_at(claim.begins) and each.is_valid_at(self._now)
        ]
        return names[0] if names and keygen.verify(claim.signed, claim.signature, signature) else ""

    def _allowed(self) -> tuple[Signer, ...]:
        if self._signers is None:
            counts = self._gate.consents.policies.signers(Snapshot(self._gate.repo, self._main))
            self._signers = read_signers(counts, NAMESPACE)
        return self._signers

    def _step(self, claim: Claim, target: Target) -> Step | None:
        """The commit of main that made the state of a claim, in good order."""
        try:
            step = self._gate.lineage(self._main, target).of(claim.state)
        except KeyError:
            return None
        data = self._gate.repo.content(step.after)
        is_its = data is not None and hashlib.sha256(data).hexdigest() == claim.to
        return step if is_its and step.is_good else None

    def _moved(self, claim: Claim, target: Target) -> str:
        """What main has that the claim did not know; "" if it has nothing."""
        repo, last = self._gate.repo, self._gate.lineage(self._main, target).last
        assert last is not None
        try:
            knew = repo.grew_from(claim.main, self._main) and repo.grew_from(last.commit.oid, claim.main)
        except Problem:
            knew = False
        if knew:
            return ""
        data = repo.content(last.after)
        if data is not None and hashlib.sha256(data).hexdigest() == claim.to:
            return f"{_IS_MAIN}, by {short(last.commit.oid)}"
        what = "a ship that it did not know" if last.is_ship else "a change that it did not know"
        return f"main has {what}, {short(last.commit.oid)} by {last.commit.author}: main decides"


def told_claim(standing: Standing) -> ToldClaim:
    """What documents have of a claim."""
    claim = standing.claim
    if claim is None:
        return ToldClaim(False, standing.says, "", "", "", "", "", "")
    by = f"{standing.signer} ({claim.by})" if standing.signer else claim.by
    return ToldClaim(
        standing.holds,
        standing.says,
        by,
        claim.at,
        claim.until,
        claim.reason,
        claim.from_,
        claim.to,
        standing.is_over,
        standing.was_served or None,
    )


def _target_of(key: str) -> Target | None:
    tenant, _, name = key.removeprefix(DIRECTORY).partition("/")
    try:
        return Target(tenant, name.removesuffix(".json")) if name.endswith(".json") else None
    except Problem:
        return None
