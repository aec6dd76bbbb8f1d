"""Break-glass: an earlier manifest in front of serving while git cannot be reached. It needs the store alone.

The order is the safety: a claim, then gc's markers, then the proof of every blob, then the pointer. Sync reads claims
after pointers, so it never finds this pointer without its claim. Each write depends on what was read. Running again
finishes what a crash left.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Fault, MovedFirst, Problem, Refused, Unreachable
from pointsman.outcome import Outcome
from pointsman.progress import SILENCE, Progress
from pointsman.repo.last_known import LastKnown
from pointsman.retention.markers import wait_for_markers
from pointsman.retention.trash import put_back
from pointsman.serving.calls import Calls
from pointsman.serving.claims import Standing, claim_key, end_claim, told_claim
from pointsman.serving.drift import versions_served
from pointsman.serving.fence import SYNCED, read_fence
from pointsman.serving.notify import invalidate
from pointsman.serving.pointers import open_place
from pointsman.serving.states import LEFT_KEY, Left, State, read_left
from pointsman.state.claim import LIFE, NAMESPACE, Claim, has_ended, read_claim
from pointsman.state.documents import Manifest, rfc3339
from pointsman.state.message import check_value
from pointsman.state.names import Target
from pointsman.state.place import Place
from pointsman.store.base import Held, Store
from pointsman.store.open import open_store
from pointsman.trust import keygen
from pointsman.trust.allowed_signers import Signer, read_signers
from pointsman.trust.ssh_signature import read_signature
from pointsman.verbs.break_glass_places import Reached, never_synced, reached
from pointsman.verbs.break_glass_state import choose, follow, manifest_of, states_at, taken_out
from pointsman.verbs.rollback import Became, PlaceRestored, Restored, RolledBack, changes_of
from pointsman.workspace import system_clock

_TRIES = 6


class Request(Struct, frozen=True):
    """What to put back, and why. `store`, `serving`: where no checkout is at hand."""

    target: Target
    reason: str
    to: str | None = None
    key: str | None = None  # the file of an SSH key; None: git's user.signingkey
    store: str | None = None
    serving: str | None = None
    dry_run: bool = False  # try all, the key, too, and write nothing

    def __post_init__(self) -> None:
        if not self.reason:
            raise Problem("--break-glass goes past git and every review, so it needs --reason: the claim has it")
        check_value(self.reason, "--reason")


class _Who(Struct, frozen=True):
    """Who acts, and with which key."""

    name: str
    key: str
    must_sign: bool  # the key was named for this


def break_glass(
    directory: Path,
    request: Request,
    tell: Callable[[str], None],
    progress: Progress = SILENCE,
    clock: Callable[[], datetime] = system_clock,
) -> Outcome[RolledBack]:
    """Put an earlier state of a target in front of serving at every place. `tell` is told whether the claim will hold.

    Exit 3 if a place cannot be reached, 5 if it has no such state or none that may be served; the others are done.
    """
    with LastKnown(directory) as known:
        places = reached(known, request.store, request.serving)
        key = request.key or known.setting("user.signingkey")
        name = " ".join(known.identity()) or f"{os.environ.get('USER') or os.getuid()}@{socket.gethostname()}"
    who = _Who(name, key, request.key is not None)
    done: list[tuple[Reached, Restored]] = []
    problems: list[Problem] = []
    says: list[str] = []
    out: Collection[bytes] = ()
    for each in places:
        glass = _Glass(each, request, who, tell, progress, clock, out)
        try:
            done.append((each, glass.until_done()))
            out = glass.out if each.is_ring else ()
        except Problem as problem:
            problems.append(problem)
            says.append(f"{each.place.name} was left as it is: {problem}")
    if not done:
        raise problems[0]
    for line in says:
        tell(line)
    return _outcome(places, done, problems)


def _outcome(
    places: Sequence[Reached], done: Sequence[tuple[Reached, Restored]], problems: Sequence[Problem]
) -> Outcome[RolledBack]:
    notes = tuple(note for each, _ in done for note in each.notes)
    first = next((made for _, made in done if made.outcome in ("claimed", "dry-run")), done[0][1])
    if places[0].place.name:
        first = replace(first, places=[PlaceRestored(each.place.name, made.outcome) for each, made in done])
    codes = [problem.exit_code for problem in problems]
    return Outcome(RolledBack([first]), 3 if Unreachable.exit_code in codes else 5 if codes else 0, notes)


class _Glass:
    """Break-glass for one target at one place."""

    def __init__(
        self,
        at: Reached,
        request: Request,
        who: _Who,
        tell: Callable[[str], None],
        progress: Progress,
        clock: Callable[[], datetime],
        out: Collection[bytes],
    ) -> None:
        """`out`: what was taken out in the ring before, if that is one and anything was."""
        self.out, self._follows = out, bool(out)
        self._at = at
        self._place: Place = at.place
        self._store: Store = open_place(at.place)
        self._request = request
        self._target = request.target
        self._who = who
        self._tell = (lambda line: tell(f"{at.place.name}: {line}")) if at.place.name else tell
        self._progress = progress
        self._now = clock()
        self._latest = int(self._now.timestamp())  # of this clock and of sync's, which judges claims
        self._blobs: dict[str, Store] = {}

    def until_done(self) -> Restored:
        """Try until nobody else moves meanwhile."""
        for again in range(_TRIES):
            try:
                return self._once()
            except MovedFirst:
                if again == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _once(self) -> Restored:
        store, target = self._store, self._target
        fence = read_fence(store, SYNCED)
        if fence.commit is None:
            raise never_synced(self._place)
        self._latest = max(self._latest, fence.at or 0)
        states = states_at(store, self._place.root, target)
        held, there = store.read(self._place.key(target)), store.read(claim_key(target))
        standing = read_claim(there.data, target) if there is not None and not has_ended(there.data) else None
        fresh = standing is not None and standing.ends > self._now.timestamp()
        mine = fresh and standing is not None and standing.by == self._who.name
        holds = standing is not None and self._will_hold(standing)
        begun = fresh and standing is not None and self._is_begun(standing, mine, states, held)
        state = self._state(states, held, standing if holds or begun else None)
        if holds and not mine and standing is not None and standing.to != state.sha256:
            says = f"{standing.by} claimed {target} at {standing.at} ({standing.reason}): ask, or wait until"
            raise Refused([Fault(claim_key(target), "claim", f"{says} {standing.until}")])
        is_there = held is not None and held.data == state.manifest
        if standing is None and is_there and not self._follows and state.manifest == states[0].manifest:
            says = "serving has it, and sync left nothing newer: there is nothing to claim"
            return Restored(str(target), state.sha256, state.sha256, "unchanged", None, None, says=says)
        # What holds nothing is signed anew by whoever has a key.
        keeps = standing is not None and standing.to == state.sha256 and (holds or (mine and not self._who.key))
        claim = standing if keeps and standing is not None else self._claim(fence.commit, states, held, state)
        self._say_beforehand(claim)
        if self._request.dry_run:
            self._prove(state)
            return self._told(held, state, claim, "unchanged" if is_there and keeps else "dry-run")
        with store.locked(""):
            if read_fence(store, SYNCED) != fence:
                raise MovedFirst("sync began anew meanwhile: run the command again")
            if not keeps:
                store.replace(claim_key(target), claim.render(), was=there.tag if there is not None else None)
            self._prove_or_end(state, claim)
            if not is_there:
                store.replace(self._place.key(target), state.manifest, was=held.tag if held is not None else None)
        self._invalidate()
        return self._told(held, state, claim, "unchanged" if is_there and keeps else "claimed")

    def _told(self, held: Held | None, state: State, claim: Claim, outcome: Became) -> Restored:
        return Restored(
            target=str(self._target),
            from_=hashlib.sha256(held.data).hexdigest() if held is not None else None,
            to=state.sha256,
            outcome=outcome,
            pull_request=None,
            commit=None,
            says="it has this manifest already; --to goes to another" if outcome == "unchanged" else None,
            claim=told_claim(Standing(claim, says="" if self._will_hold(claim) else self._why_not(claim))),
            state=state.commit,
            changes=changes_of(versions_served(held, self._target), manifest_of(self._target, state).versions),
        )

    def _state(self, states: Sequence[State], held: Held | None, claim: Claim | None) -> State:
        if self._follows:
            return follow(self._target, states, held, self.out)
        state = choose(self._target, states, held, self._request.to, claim)
        self.out = taken_out(states, state)
        return state

    def _is_begun(self, claim: Claim, mine: bool, states: Sequence[State], held: Held | None) -> bool:
        """Whether a claim, signed or not, is a way back that was begun: running again goes no further.

        Somebody else's counts only if serving has its state: a claim alone steers nobody.
        The newest state is no way back.
        """
        served = hashlib.sha256(held.data).hexdigest() if held is not None else None
        return claim.to != states[0].sha256 and (mine or claim.to == served)

    def _claim(self, main: str, states: Sequence[State], held: Held | None, state: State) -> Claim:
        """The claim, signed if there is a key."""
        manifest = manifest_of(self._target, state)
        replaced = next((each.commit for each in states if held is not None and each.manifest == held.data), "")
        at = int(self._now.timestamp())
        claim = Claim(
            target=str(self._target),
            place=self._place.name,
            from_=hashlib.sha256(held.data).hexdigest() if held is not None else "",
            to=state.sha256,
            state=state.commit,
            replaced=replaced,
            main=main,  # type: ignore[arg-type]  # a commit's id
            versions=manifest.versions,
            by=self._who.name,
            at=rfc3339(at),
            reason=self._request.reason,
            until=rfc3339(at + LIFE),
        )
        if not self._who.key:
            return claim
        try:
            return claim.sign(keygen.sign(claim.signed, NAMESPACE, self._who.key))
        except Problem as problem:
            if self._who.must_sign:
                raise
            self._tell(f"the claim is not signed: {problem}")
            return claim

    def _will_hold(self, claim: Claim) -> bool:
        """Whether the signers that sync left would let a claim hold now."""
        signature = read_signature(claim.signature) if claim.signature else None
        now = self._latest
        if signature is None or signature.namespace != NAMESPACE or not claim.begins <= now < claim.ends:
            return False
        if not any(each.key == signature.key and each.is_valid_at(now) for each in self._allowed):
            return False
        try:
            return keygen.verify(claim.signed, claim.signature, signature)
        except keygen.NoKeygen:
            return False

    @cached_property
    def _allowed(self) -> tuple[Signer, ...]:
        return read_signers(self._left.allowed_signers.encode(), NAMESPACE)

    @cached_property
    def _left(self) -> Left:
        return read_left(self._store)

    def _say_beforehand(self, claim: Claim) -> None:
        dry_run = self._request.dry_run
        if self._will_hold(claim):
            holds = "would hold" if dry_run else "holds"
            self._tell(f"the claim {holds} until {claim.until}, or until main has something newer")
        else:
            undoes = "would undo" if dry_run else "undoes"
            self._tell(f"the next sync that reaches git {undoes} this: {self._why_not(claim)}")

    def _why_not(self, claim: Claim) -> str:
        """Why a claim holds nothing, as far as the store tells."""
        if not claim.signature:
            return "its claim is not signed; sign it with --key FILE"
        if claim.ends <= self._latest:
            return f"it ends at {claim.until}, and sync was there at {rfc3339(self._latest)}: set this machine's clock"
        if not self._left.allowed_signers:
            return f"{self._place.root}/{LEFT_KEY} names no allowed signers: [audit] allowed_signers says who may sign"
        return f"main's allowed signers, as sync left them, do not let this key sign for {NAMESPACE}"

    def _prove_or_end(self, state: State, claim: Claim) -> None:
        """Refused unless every blob is there; the claim then ends, for nothing stands in front of serving."""
        try:
            self._prove(state)
        except Refused:
            there = self._store.read(claim_key(self._target))
            if there is not None and there.data == claim.render():
                end_claim(self._store, self._target, there, "its blobs are not there", self._now.timestamp())
            raise

    def _prove(self, state: State) -> None:
        """Wait for gc's markers, then Refused unless every blob is there, or back, and is what its name says."""
        dry_run = self._request.dry_run
        faults = []
        manifest = manifest_of(self._target, state)
        every = {slot: manifest.versions.get(slot, "") for slot in manifest.current}
        blobs = [(slot, each, *self._blob(manifest, slot, each)) for slot, each in every.items()]
        for url in {url for _, _, url, _ in blobs}:
            self._blobs[url] = open_store(url, self._place.access)
            if not dry_run:
                named = {version for _, version, at, _ in blobs if at == url}
                wait_for_markers(self._blobs[url], named)
        for slot, version, url, key in blobs:
            self._progress(f"proving {url}/{key}")
            store = self._blobs[url]
            found = store.digest(key)
            if found is None and put_back(store, key, dry_run=dry_run):
                continue
            if found is None or found[1] != version:
                what = "no blob is there" if found is None else "it is not what its name says"
                faults.append(Fault(self._target.manifest_path, "blob-missing", f"{slot}: {url}/{key}: {what}"))
        if faults:
            raise Refused(faults)

    def _blob(self, manifest: Manifest, slot: str, version: str) -> tuple[str, str]:
        """The store and the key of a blob."""
        key, uri = self._target.blob_key(slot, version), manifest.current[slot]
        if not uri.endswith(f"/{key}"):
            says = f"{slot} points to {uri}, which is no blob of {self._target}: choose another with --to"
            raise Refused([Fault(self._target.manifest_path, "foreign-uri", says)])
        return self._place.store or uri.removesuffix(f"/{key}"), key

    def _invalidate(self) -> None:
        calls = Calls()
        for url in self._place.invalidate:
            if wrong := invalidate(calls, url, self._target):
                self._at.notes.append(f"invalidate of {self._target} at {url} failed: {wrong}")
