"""Start states in which ships need evidence, and what was attested there by whom."""

from __future__ import annotations

import hashlib
import json

from signers import ATTESTS, signature, signed_file, signer

from attacks.states import HOME, Artifact, State

_FOR_EVIDENCE = f'namespaces="{ATTESTS}"'
SETTINGS = """[audit]
allowed_signers = "allowed_signers"
[evidence.offline-eval]
types = ["popularity"]
signers = ["eval@example.org", "check@example.org"]
where = { decision = "ship" }
"""


def attested(state: State, how: str) -> State:
    """Evidence about popularity.3, a file for each of "eval ship, check hold: of …".

    A third word says what is wrong with it; behind the colon is what it is about instead.
    """
    names, _, what = how.partition(": ")
    signers = "".join((
        signer("eval", options=_FOR_EVIDENCE), signer("check", options=_FOR_EVIDENCE),
        signer("other", options=_FOR_EVIDENCE), signer("ann"),
        signer("gone", options=f'{_FOR_EVIDENCE},valid-before="20260303"'),
    ))  # fmt: skip
    age = 'max_age = "30d"\n' if what == "long ago" else ""
    settings = f'[store]\nurl = "{state.url}"\n{SETTINGS}{age}'
    state.commit("policy", "evidence", {"pointsman.toml": settings.encode(), "allowed_signers": signers.encode()})
    for name in names.split(", ") if names != "nobody" else ():
        who, decision, *wrong = name.split(" ")
        about = Artifact.named("popularity.4" if what == "of another version" else "popularity.3")
        called = "online-eval" if what == "of another name" else "offline-eval"
        path, data = evidence(about, who, decision, wrong=" ".join(wrong), called=called)
        state.commit(f"attest-{name}", "attest", {path: data})
    if what == "long ago":
        state.pass_by(40)
    return state


def evidence(
    about: Artifact, who: str, decision: str, *, wrong: str = "", called: str = "offline-eval"
) -> tuple[str, bytes]:
    """The path and the bytes of evidence about one version."""
    subject = {"name": f"{HOME}/{about.slot}", "digest": {"sha256": about.version}}
    document = {
        "_type": "https://in-toto.io/Statement/v1", "subject": [subject],
        "predicateType": f"urn:pointsman:evidence:{called}", "predicate": {"decision": decision, "cases": 3},
    }  # fmt: skip
    payload = (json.dumps(document, indent=2) + "\n").encode()
    namespace = "pointsman-approval" if wrong == "as an approval" else ATTESTS
    data = signed_file(payload, signature(payload + b"x" if wrong == "wrongly" else payload, who, namespace))
    digest = hashlib.sha256(data).hexdigest()[:12]
    return f"registry/{about.target}/{about.slot}/{about.version}.evidence.{digest}.json", data
