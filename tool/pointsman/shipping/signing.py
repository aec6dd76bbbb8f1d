"""Signs approvals and evidence with the key of the person, or of the job, that runs the command."""

from __future__ import annotations

from pointsman.errors import Problem
from pointsman.repo.snapshot import Snapshot
from pointsman.state.documents import Signed
from pointsman.trust.keygen import sign
from pointsman.trust.ssh_signature import read_signature
from pointsman.workspace import Workspace


def signed_by(workspace: Workspace, payload: bytes, namespace: str, key: str | None) -> tuple[Signed, str]:
    """The signed file, and whose signature it is. Problem if the key may not sign this on main as it is now.

    `key`: the file of an SSH key; None: that of git's settings.
    """
    repo = workspace.repo
    if not (found := key or repo.signing_key):
        says = "name an SSH key with --key FILE, or set git's user.signingkey and gpg.format"
        raise Problem(f"no key to sign with: {says}")
    signed = Signed(payload, sign(payload, namespace, found))
    told = read_signature(signed.signature)
    assert told is not None
    main = Snapshot(repo, repo.main)
    return signed, workspace.gate.consents.signer(main, told.key, workspace.now, namespace)
