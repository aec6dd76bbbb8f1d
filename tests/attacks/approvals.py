"""Start states in which changes need approvals, and what was approved there by whom, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from signers import APPROVES, ATTESTS, approval, public, signer

from attacks.plain_git import CLOCK
from attacks.states import BAKERY, HOME, Artifact, State, digest, manifest, manifest_path, slots_of

NEXT_SHIP = "2026-03-05T00:00:00.000000Z"  # `updated_at` of the ship that the cases make
_LIMITED = f'namespaces="{APPROVES}",'


def signers() -> bytes:
    """Lines of all kinds. Those of ann, ben and cat count, for old until the day before, for fresh from 2030 on."""
    lines = (
        signer("ann"), signer("ann-too", "ann"), signer("ben"), signer("ben", "ben-phone"), signer("cat"),
        signer("old", options=f'{_LIMITED}valid-before="20260303"'),
        signer("fresh", options=f'{_LIMITED}valid-after="20300101"'),
        signer("plain", options=""), signer("git", options='namespaces="git"'), signer("any", options='namespaces="*"'),
        signer("authority", options=f'cert-authority,namespaces="{APPROVES}"'),
        signer("attester", options=f'namespaces="{ATTESTS}"'),
        f'*@example.org namespaces="{APPROVES}" {public("pattern")}\n', f"who knows what {public('garbage')}\n",
    )  # fmt: skip
    return "".join(lines).encode()


def approved(state: State, how: str) -> State:
    """Two must approve, and those named approved the ship of popularity.3, each in their own way.

    `how`: "ann, ben wrongly: of …"; behind the colon is what they approved instead, or what happened besides.
    """
    names, _, what = how.partition(": ")
    _demand(state)
    if what in _BEFORE:
        _BEFORE[what](state)
    lines = _lines(state, what)
    files: dict[str, bytes | None] = {}
    for name in names.split(", ") if names != "nobody" else ():
        who, _, way = name.partition(" ")
        namespace = ATTESTS if way == "for evidence" else APPROVES
        path, data = approval(lines, who, namespace=namespace, broken=way == "wrongly")
        if way == "elsewhere":  # right, but of other lines, under the name that these would have
            data = approval(["Drop: grocer/home nothing"], who)[1]
            path = f"{path[:-21]}{digest(data)[:16]}.json"
        files[path] = data
    if files:
        now = state.time
        state.time = CLOCK - 30 * 86400 if what == "by a clock set back" else now
        state.commit("approvals", "approve", files)
        state.time = now + 60
    if what == "deleted since":
        state.commit("deleted", "tidy", dict.fromkeys(files))
    if what == "ben taken out since":
        _take_ben_out(state)
    return state


def _demand(state: State) -> None:
    settings = f'[store]\nurl = "{state.url}"\n[audit]\nallowed_signers = "allowed_signers"\n[policy]\napprovals = 2\n'
    state.commit("policy", "two approve", {"pointsman.toml": settings.encode(), "allowed_signers": signers()})


def _settings(state: State, approvals: int) -> bytes:
    return (state.read("pointsman.toml") or b"").replace(b"approvals = 2", b"approvals = %d" % approvals)


def _let_in(state: State) -> None:
    more = (state.read("allowed_signers") or b"") + signer("eve").encode()
    state.commit("eve", "one more signer", {"allowed_signers": more})


def _lower_and_mend(state: State) -> None:
    before = state.read("pointsman.toml")
    state.commit("lowered", "one is enough", {"pointsman.toml": _settings(state, 1)})
    state.commit("mended", "two again", {"pointsman.toml": before})


def _let_in_properly(state: State) -> None:
    before = state.read("allowed_signers") or b""
    after = before + signer("eve").encode()
    line = f"Changes: allowed_signers sha256:{digest(before)} sha256:{digest(after)}"
    state.commit("eve-approved", "approve", dict(approval([line], who) for who in ("ann", "ben")))
    state.commit("eve", "one more signer", {"allowed_signers": after})


def _say_more_properly(state: State, files: Mapping[str, bytes]) -> None:
    """Other settings that both approved, with `files` in the same commit."""
    before = {path: state.read(path) for path in files}
    was = {path: f"sha256:{digest(data)}" if data is not None else "none" for path, data in before.items()}
    lines = [f"Changes: {path} {was[path]} sha256:{digest(data)}" for path, data in files.items()]
    state.commit("settings-approved", "approve", dict(approval(lines, who) for who in ("ann", "ben")))
    state.commit("settings", "more settings", {**files})


def _let_in_before_settings(state: State) -> None:
    _let_in(state)
    _say_more_properly(state, {"pointsman.toml": (state.read("pointsman.toml") or b"") + b"kept_low = false\n"})


def _move(state: State) -> None:
    """Another file of signers, with eve in it, whom the old one has not."""
    settings = (state.read("pointsman.toml") or b"").replace(b'= "allowed_signers"', b'= "people"')
    _say_more_properly(state, {"pointsman.toml": settings, "people": signers() + signer("eve").encode()})


def _take_ben_out(state: State) -> None:
    before = state.read("allowed_signers") or b""
    after = b"".join(line for line in before.splitlines(keepends=True) if not line.startswith(b"ben@"))
    line = f"Changes: allowed_signers sha256:{digest(before)} sha256:{digest(after)}"
    state.commit("ben-approved", "approve", dict(approval([line], who) for who in ("ann", "cat")))
    state.commit("ben", "one signer less", {"allowed_signers": after})


def _slip_in(state: State) -> None:
    """A ship that nobody approved, past the gate, and its revert."""
    path = manifest_path(HOME)
    state.commit("slipped", f"ship\n\n{state.lines(HOME, next_ship(state))}", {path: next_ship(state)})
    state.restore("taken-back", HOME, "second-ship")


# What happened on main before the approvals landed.
_BEFORE: Mapping[str, Callable[[State], object]] = {
    "one is enough": lambda state: state.commit("lowered", "one", {"pointsman.toml": _settings(state, 1)}),
    "one was enough for a while": _lower_and_mend,
    "eve let in": _let_in,
    "eve let in by both": _let_in_properly,
    "eve let in before settings of both": _let_in_before_settings,
    "the file moved by both": _move,
    "slipped in": _slip_in,
    "rolled back": lambda state: state.restore("rollback", HOME, "first-ship"),
}


def next_ship(state: State, number: int = 3, at: str = NEXT_SHIP) -> bytes:
    """The manifest that the cases ship."""
    current = slots_of(state.read(manifest_path(HOME)))
    return manifest(HOME, {**current, "popularity": f"{state.url}/{Artifact(HOME, 'popularity', number).key}"}, at)


def _lines(state: State, what: str) -> list[str]:
    last = state.lasts[manifest_path(HOME)]
    lines = state.lines(HOME, next_ship(state)).split("\n")
    restored = state.content(state.trees[state.labels["second-ship"]][manifest_path(HOME)]) or b""
    settings = state.read("pointsman.toml") or b""
    return {
        "of another version": state.lines(HOME, next_ship(state, 4)).split("\n"),
        "of it before it was built anew": state.lines(HOME, next_ship(state, at=f"{NEXT_SHIP[:-2]}1Z")).split("\n"),
        "of it on an older state": [line.replace(last, state.labels["first-ship"]) for line in lines],
        "of another target": [line.replace(HOME, BAKERY) for line in lines],
        "of its first line alone": lines[:1],
        "of nothing": ["Drop: grocer/home nothing"],
        "of one line more": [*lines, f"Accept: {HOME} not-soaked it was tried by hand"],
        "of its drop, too": [*lines, f"Drop: {HOME} cooc"],
        "of the settings": [f"Changes: pointsman.toml sha256:{digest(settings)} sha256:{digest(_settings(state, 1))}"],
        "of the removal": [
            f"Removes: {manifest_path(HOME)}", f"Supersedes: {HOME} {last}",
            f"Accept: {HOME} manifest-removed the shop closes",
        ],
        "rolled back": [f"Manifest: {HOME} sha256:{digest(restored)}", f"Supersedes: {HOME} {last}"],
    }.get(what, lines)  # fmt: skip
