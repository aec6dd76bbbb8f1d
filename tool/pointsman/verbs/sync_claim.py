"""What a pass of sync makes of targets about which break-glass wrote a claim."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping

from msgspec.structs import replace

from pointsman.errors import Blocked, Fault
from pointsman.serving.claims import Standing, claim_key, unknown_claim
from pointsman.state.names import Target
from pointsman.store.base import Held
from pointsman.store.closed import Closed
from pointsman.trust.keygen import NoKeygen
from pointsman.verbs.sync_target import Did, Targets


class ClaimedTargets:
    """The targets of one pass at one place, some of them under a claim. `held`: those whose claim holds."""

    def __init__(self, targets: Targets, claims: Mapping[Target, Held], closed: Closed) -> None:
        self._targets = targets
        self._closed = closed  # where claims may be that nobody sees
        self._claims = claims
        self._standing = {target: self._judge(target, claim) for target, claim in claims.items()}
        self.held = {target for target, each in self._standing.items() if each is None or each.holds}

    def _judge(self, target: Target, claim: Held) -> Standing | None:
        """What a claim means; None if nobody can tell."""
        try:
            return self._targets.judge(target, claim)
        except NoKeygen:
            return None

    def settle(self, target: Target, held: Held | None, *, same: bool) -> Did:
        """Make a pointer what main has, or what a claim that holds says. `same`: it is what main has.

        Blocked if it would change, and nobody knows whether there is a claim.
        """
        if not same and (unknown := unknown_claim(target, self._closed)) is not None:
            raise unknown
        if target not in self._claims:
            return Did("unchanged") if same else self._targets.settle(target, held)
        standing = self._standing[target]
        if standing is None:
            says = "a claim stands there, and nobody can tell whether it holds: install OpenSSH 8.9 or newer"
            return Did("refused", (Fault(claim_key(target), "claim", says),))
        if standing.claim is not None and (standing.holds or standing.is_over):
            with contextlib.suppress(Blocked):  # nobody can read there what it takes out, so nothing of that counts
                self._targets.took_out(target, standing.claim)
        if standing.holds:
            return self._keep(target, held, standing, same=same)
        did = Did("unchanged") if same else self._targets.settle(target, held)
        if did.outcome in ("refused", "kept"):
            return replace(did, standing=standing)
        did = did.then(target, lambda: self._targets.end(target, self._claims[target], standing.says))
        if did.outcome == "written" and not standing.is_over and _has(held, standing):
            return replace(did, outcome="healed", standing=replace(standing, was_served=True))
        return replace(did, standing=standing)

    def _keep(self, target: Target, held: Held | None, standing: Standing, *, same: bool) -> Did:
        """Leave what the claim put there, and main's if it has not come to that; put it back over anything else."""
        if same and not _has(held, standing):
            return Did("unchanged", standing=standing)
        if not _has(held, standing):
            self._targets.put(target, held, standing.data)
        return Did("claimed", standing=standing)


def _has(held: Held | None, standing: Standing) -> bool:
    """Whether a pointer is what a claim is for."""
    claim = standing.claim
    return held is not None and claim is not None and hashlib.sha256(held.data).hexdigest() == claim.to
