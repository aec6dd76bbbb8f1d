"""Whether break-glass is ready: what it needs on the day on which git is away is looked at while git is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsman.errors import Problem
from pointsman.serving.fence import SYNCED
from pointsman.serving.pointers import open_place
from pointsman.serving.states import LEFT_KEY, read_left, read_states, state_key
from pointsman.state.claim import NAMESPACE
from pointsman.state.names import Target
from pointsman.state.place import Place
from pointsman.store.base import Store
from pointsman.store.parallel import ask_all
from pointsman.trust import keygen
from pointsman.trust.allowed_signers import Signer, read_signers
from pointsman.trust.ssh_signature import read_signature

_SHOWN = 3
_LEAVES = "sync leaves them with each pointer that it writes"


def ready(
    places: Sequence[Place], targets: Sequence[Target], signers: str, key: str, now: int
) -> Iterator[tuple[str, bool, str]]:
    """Each check, whether it passes, and what it says; nothing where sync was never. Unreachable if one cannot be read.

    `targets`: those with a manifest on main. `signers`: the text of main's allowed signers. `key`: git's signing key.
    """
    allowed = [each for each in read_signers(signers.encode(), NAMESPACE) if each.is_valid_at(now)]
    synced = [(place, store) for place in places if (store := open_place(place)).size(SYNCED) is not None]
    for place, store in synced:
        yield from _at(place, store, targets, signers)
    if synced:
        yield "break-glass key", True, _key(allowed, key)


def _at(place: Place, store: Store, targets: Sequence[Target], signers: str) -> Iterator[tuple[str, bool, str]]:
    """What sync left at a place."""
    of = f" {place.name}" if place.name else ""
    held = ask_all(lambda target: store.read(state_key(target)), targets, at_once=store.at_once)
    counts = [None if each is None else len(read_states(each.data)) for each in held]
    found = list(zip(targets, counts, strict=True))
    if broken := [target for target, count in found if count == 0]:
        says = f"what sync left of {_some(broken)} cannot be read, as {store.url}/{state_key(broken[0])}"
        yield f"break-glass states{of}", False, f"{says}: somebody else wrote it; sync mends it with its next pointer"
    else:
        back = sum(count is not None and count > 1 for count in counts)
        says = f"{back} of {len(found)} targets have an earlier state to go back to"
        missing = [target for target, count in found if count is None]
        more = f"; nothing is left of {_some(missing)}: {_LEAVES}" if missing else ""
        yield f"break-glass states{of}", True, f"{says}{more}"
    left = read_left(store).allowed_signers
    says = f"{LEFT_KEY} has main's allowed signers"
    if left != signers:
        says = f"{LEFT_KEY} has allowed signers of an earlier main: sync renews it with the next pointer that it writes"
        says += f", such as after pointsman ship {targets[0]} --again" if targets else ""
    yield f"break-glass signers{of}", True, says if signers else "[audit] allowed_signers names nobody: no claim holds"


def _key(allowed: Sequence[Signer], key: str) -> str:
    """Whether whoever runs this may sign claims."""
    count = len({each.key for each in allowed})
    who = f"{count} key{'' if count == 1 else 's'} may sign claims"
    if not key:
        return f"{who}; git config user.signingkey names none here: give one with --key FILE"
    try:
        signature = read_signature(keygen.sign(b"doctor", NAMESPACE, key))
    except Problem as problem:
        return f"{who}; the one that git names here cannot be used: {problem}"
    names = [each.names[0] for each in allowed if signature is not None and each.key == signature.key]
    return f"{who}; the one that git names here is that of {names[0]}" if names else (
        f"{who}; main's allowed signers do not name the one that git names here for {NAMESPACE}"
    )  # fmt: skip


def _some(targets: Sequence[Target]) -> str:
    more = f" and {len(targets) - _SHOWN} more" if len(targets) > _SHOWN else ""
    return f"{', '.join(map(str, targets[:_SHOWN]))}{more}"
