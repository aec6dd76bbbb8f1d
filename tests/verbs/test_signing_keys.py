"""Keys in every form in which git and people name them: files, an agent's, and those of a device (FIDO)."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Shop, git
from signers import APPROVES, key_of, public, signed_file, signer

from pointsman.errors import Problem
from pointsman.repo.snapshot import Snapshot
from pointsman.shipping.signing import signed_by
from pointsman.state.consent import NAMESPACE
from pointsman.trust.proven import Proven
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow
LINES = b"Drop: grocer/home cooc\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop", '[audit]\nallowed_signers = "allowed_signers"\n')
    (shop.desk / "allowed_signers").write_text(signer("ann"))
    shop.push("who approves")
    return shop


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real agent on a socket of its own, which has ann's key."""
    short = tempfile.mkdtemp(prefix="agent-")  # a socket's path may have a hundred characters
    socket = Path(short) / "socket"
    started = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    started.stdout.readline()  # it listens from here on
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    subprocess.run(["ssh-add", "-q", str(key_of("ann"))], check=True, capture_output=True)
    yield
    started.terminate()
    started.communicate()
    shutil.rmtree(short)


def signs(shop: Shop, key: str | None = None) -> str:
    """Whose signature it is, by the file of signers, when somebody signs with a key."""
    with shop.open() as repo:
        repo.refresh()
        signed, by = signed_by(Workspace(repo), LINES, NAMESPACE, key)
        assert Proven(repo.git_dir).key(LINES, signed.signature, NAMESPACE) is not None
        return by


def configured(shop: Shop, key: str, form: str = "") -> str:
    """The same with the key in git's settings alone."""
    git(shop.desk, "config", "user.signingkey", key)
    if form:
        git(shop.desk, "config", "gpg.format", form)
    return signs(shop)


def test_every_form_in_which_git_names_an_ssh_key_signs(
    shop: Shop, agent: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone.pub"  # the agent has the private one
    alone.write_text(f"{public('ann')}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    forms = (str(key_of("ann")), str(alone), "~/alone.pub", public("ann"), f"key::{public('ann')}")
    for key in forms:
        assert signs(shop, key) == "ann@example.org"
    for key in forms[3:]:  # without gpg.format, too: no OpenPGP key looks like these
        assert configured(shop, key) == "ann@example.org"
    for key in forms:
        assert configured(shop, key, "ssh") == "ann@example.org"


def test_a_key_that_cannot_sign_is_named_in_a_sentence(shop: Shop, agent: None, tmp_path: Path) -> None:
    for key, says in (
        (f"key::{public('ben')}", "ssh-keygen does not sign with key::ssh-ed25519"),
        (str(tmp_path), "there is no key"),
        ("key::nothing", "ssh-keygen does not sign with key::nothing"),
    ):
        with pytest.raises(Problem, match=says) as told:
            signs(shop, key)
        assert "\n" not in str(told.value)
    with pytest.raises(Problem, match="no key to sign with: name an SSH key with --key FILE, or set git's"):
        configured(shop, "0123456789ABCDEF")  # an OpenPGP key


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


class Device:
    """What a FIDO key does, by openssl: it signs what OpenSSH's PROTOCOL.u2f says. Nobody touches anything."""

    def __init__(self, place: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs openssl")
        self._key = place / "device.pem"
        self._run("genpkey", "-algorithm", "ed25519", "-out", str(self._key))
        raw = self._run("pkey", "-in", str(self._key), "-pubout", "-outform", "DER")[-32:]
        self.blob = string(b"sk-ssh-ed25519@openssh.com") + string(raw) + string(b"ssh:")
        self.public = f"sk-ssh-ed25519@openssh.com {base64.b64encode(self.blob).decode()}"

    def _run(self, *words: str) -> bytes:
        return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout

    def sign(self, payload: bytes, namespace: str) -> str:
        same = string(namespace.encode()) + string(b"") + string(b"sha512")
        message = b"SSHSIG" + same + string(hashlib.sha512(payload).digest())
        said = b"\x01" + (7).to_bytes(4)  # somebody touched it, and for the seventh time
        signed = hashlib.sha256(b"ssh:").digest() + said + hashlib.sha256(message).digest()
        data = self._key.with_suffix(".data")
        data.write_bytes(signed)
        raw = self._run("pkeyutl", "-sign", "-rawin", "-inkey", str(self._key), "-in", str(data))
        signature = string(b"sk-ssh-ed25519@openssh.com") + string(raw) + said
        blob = b"SSHSIG" + (1).to_bytes(4) + string(self.blob) + same + string(signature)
        text = "\n".join(re.findall(".{1,70}", base64.b64encode(blob).decode()))
        return f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"


def test_what_a_device_signed_is_verified_and_counts_as_its_owner_s(shop: Shop, tmp_path: Path) -> None:
    device = Device(tmp_path)
    line = f'dee@example.org namespaces="{APPROVES}" {device.public}\n'
    (shop.desk / "allowed_signers").write_text(signer("ann") + line)
    with (shop.desk / "pointsman.toml").open("a") as settings:
        settings.write("approvals = 2\n")  # in [policy], which comes last
    shop.push("two approve")
    armor = device.sign(LINES, APPROVES)
    proven = Proven(tmp_path)
    assert proven.key(LINES, armor, APPROVES) == device.blob
    assert proven.key(LINES + b"x", armor, APPROVES) is None
    subject, data = hashlib.sha256(LINES).hexdigest(), signed_file(LINES, armor)
    path = shop.desk / "approvals" / f"{subject}.{hashlib.sha256(data).hexdigest()[:16]}.json"
    path.parent.mkdir()
    path.write_bytes(data)
    shop.push("approve")
    with shop.open() as repo:
        gate = Workspace(repo).gate
        base = Snapshot(repo, repo.refresh())
        policy = gate.consents.policies.at(base, gate.documents.settings(base))
        assert policy is not None
        told = gate.consents.count(base, policy, LINES.decode().splitlines())
    assert ([str(each) for each in told.by], told.void) == (["dee@example.org"], ())
