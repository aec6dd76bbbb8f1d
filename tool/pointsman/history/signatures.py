"""Signatures: whether commits of main are signed by someone in main's own file of allowed signers.

These are SSH signatures as git makes them: over the commit without its signature, in the namespace `git`. ssh-keygen
verifies them. It is called directly: git would start it once per commit anyway, and would follow the repository's own
configuration.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.gate.documents import Documents
from pointsman.patterns import pattern
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import SETTINGS_PATH, Settings
from pointsman.state.objects import Commit, Oid
from pointsman.state.paths import path_kind

_SSH, _ENDS = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_SIGNER = pattern(r'\S.*\s(sk-)?(ssh|ecdsa)-[\w@.-]+\s+"?AAAA[A-Za-z0-9+/]+={0,3}(\s.*)?')
_REPORTED_KINDS = ("manifest", "hold")
_SECONDS = 60.0  # for one question to ssh-keygen


class Signature(Struct, frozen=True):
    """The signer of a commit, or why it has no good signature."""

    signer: Annotated[str, "whom the file of allowed signers names; empty: nobody who may has signed"] = ""
    key: Annotated[str, "its fingerprint"] = ""  # as ssh-keygen writes it
    says: Annotated[str, "why it is not good"] = ""


_UNSIGNED = Signature(says="the commit has no signature")


class _Question(Struct, frozen=True):
    """One commit for ssh-keygen to verify. `before`: the file before it, if the commit changes who may sign."""

    commit: Oid
    payload: bytes
    armor: str
    at: int
    before: bytes | None


class Signatures:
    """The signatures of commits of main, verified with the file that main has now. `clock`: now, seconds since 1970."""

    def __init__(self, documents: Documents, main: Oid, *, clock: int) -> None:
        self._documents = documents
        self.settings = documents.settings(Snapshot(documents.repo, main))
        self._clock = clock
        self._latest = 0
        self._required: dict[Oid, tuple[str, ...]] = {}
        self._found: dict[Oid, Signature] = {}
        self._signers: dict[str, str] = {}  # key → the signer that it belonged to the last time
        self._file = b""
        if path := self.settings.allowed_signers:
            data = Snapshot(documents.repo, main).read(path)
            if data is None:
                raise Problem(f"main has no file {path}, which [audit] allowed_signers names: commit that file")
            self._file = _checked(data, path)

    def look(self, commits: Sequence[Commit]) -> None:
        """Verify the commits that must be signed or that a report shows, several at a time. The oldest come first."""
        questions = []
        for commit in commits:
            # The holder of an expired key can set a clock back. So no commit counts as older than those before it.
            self._latest = min(max(self._latest, commit.time), self._clock)
            required = self._must(commit)
            if required:
                self._required[commit.oid] = tuple(required)
            elif not (self._file and any(path_kind(change.path) in _REPORTED_KINDS for change in commit.changes)):
                continue
            before = self._before(commit) if any(required.values()) else None
            found = self._read(commit, before)
            if isinstance(found, Signature):
                self._found[commit.oid] = found
            else:
                questions.append(found)
        if questions:
            import tempfile
            from concurrent.futures import ThreadPoolExecutor

            with tempfile.TemporaryDirectory(prefix="pointsman-") as directory:
                place = Path(directory)
                (place / "now").write_bytes(self._file)
                with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
                    answers = pool.map(lambda question: self._answer(question, place), questions)
                    self._found.update(zip((question.commit for question in questions), answers, strict=True))

    def of(self, commit: Oid) -> Signature | None:
        """The signature of a commit; None if it was not verified."""
        return self._found.get(commit)

    def required(self, commit: Oid) -> Sequence[str]:
        """The paths that a commit changed and for which it must be signed."""
        return self._required.get(commit, ())

    def missing(self, commit: Oid) -> dict[str, str]:
        """Path → why its signature is missing, for the paths that must be signed."""
        found = self._found.get(commit, _UNSIGNED)
        return {} if found.signer else dict.fromkeys(self.required(commit), found.says)

    def _must(self, commit: Commit) -> dict[str, bool]:
        """Path → whether it decides who may sign, for the changed paths that must be signed.

        The settings before the commit decide. The file of signers and the [audit] settings must always be signed.
        """
        base = Snapshot(self._documents.repo, commit.parents[0] if commit.parents else None)
        head = Snapshot(self._documents.repo, commit.oid)
        settings = self._documents.settings_then(base, head) if base.commit is not None else Settings("")
        if not settings.signed:
            return {}
        found = {}
        for path in (change.path for change in commit.changes):
            decides = path == settings.allowed_signers
            if path == SETTINGS_PATH:
                decides = _audit(settings) != _audit(self._documents.settings_then(head, base))
            if decides or any(_is_below(path, each) for each in settings.signed):
                found[path] = decides
        return found

    def _before(self, commit: Commit) -> bytes | None:
        """The file of allowed signers before a commit, by the settings before it; None if there was none."""
        base, head = (Snapshot(self._documents.repo, oid) for oid in (commit.parents[0], commit.oid))
        return base.read(self._documents.settings_then(base, head).allowed_signers)

    def _read(self, commit: Commit, before: bytes | None) -> Signature | _Question:
        """The question about a commit for ssh-keygen, or the answer if none is needed."""
        content = self._documents.repo.git.commit(commit.oid)
        payload, signatures = _split_signatures(content, b"gpgsig" if len(commit.oid) == 40 else b"gpgsig-sha256")
        if not signatures:
            return _UNSIGNED
        if len(signatures) > 1:
            return Signature(says=f"the commit has {len(signatures)} signatures: it is not clear which one counts")
        armor = signatures[0].decode("ascii", "replace").strip()
        if not armor.startswith(_SSH) or not armor.endswith(_ENDS):
            kind = "an OpenPGP signature" if armor.startswith("-----BEGIN PGP") else "a signature of another kind"
            return Signature(says=f"it has {kind}: only SSH signatures count")
        if not self._file:
            return Signature(says="main names no file of allowed signers any more")
        return _Question(commit.oid, payload, armor + "\n", self._latest, before)

    def _answer(self, question: _Question, place: Path) -> Signature:
        signature = place / f"{question.commit}.sig"
        signature.write_text(question.armor)
        found = self._verify(question, signature, place / "now")
        if found.signer and question.before is not None:
            before = place / f"{question.commit}.before"
            before.write_bytes(question.before)
            if not self._verify(question, signature, before).signer:
                says = f"it changes who may sign, and {found.signer} with the key {found.key} was not allowed to before"
                return Signature(key=found.key, says=says)
        return found

    def _verify(self, question: _Question, signature: Path, signers: Path) -> Signature:
        """Who has signed, by a file of signers and at the time of the question. A known signer is tried first."""
        at = time.strftime("%Y%m%d%H%M%S", time.gmtime(question.at))
        words = ("-n", "git", "-s", str(signature), f"-Overify-time={at}")
        key = _key(question.armor)
        known = self._signers.get(key, "")
        if known and _is_by(known, signers, words, question.payload):
            return Signature(known, key)
        for signer in _keygen("find-principals", "-f", str(signers), *words[2:])[1].splitlines():
            if _is_by(signer, signers, words, question.payload):
                self._signers[key] = signer
                return Signature(signer, key)
        if not _keygen("check-novalidate", *words[:4], given=question.payload)[0]:
            return Signature(key=key, says="its signature does not fit the commit")
        says = f"it is signed with the key {key}, and the file does not allow that key for a commit of that time"
        return Signature(key=key, says=says)


def _audit(settings: Settings) -> tuple[str, str, tuple[str, ...]]:
    return settings.audit_since, settings.allowed_signers, settings.signed


def _is_below(path: str, named: str) -> bool:
    """Whether a path is the one that `[audit] signed` names, or is below it."""
    return named == "." or path == named or path.startswith(f"{named.rstrip('/')}/")


def _split_signatures(content: bytes, header: bytes) -> tuple[bytes, list[bytes]]:
    """A commit without its signatures, which is the signed text, and its signatures under one header.

    As git does it (commit.c, parse_signed_commit): the signed text has no signature for the other hash, either.
    """
    head, end, body = content.partition(b"\n\n")
    kept: list[bytes] = []
    signatures: list[bytes] = []
    place = kept
    for line in head.split(b"\n"):
        if not line.startswith(b" "):
            name, _, value = line.partition(b" ")
            if name == header:
                signatures.append(value)
                place = signatures
                continue
            place = [] if name.startswith(b"gpgsig") else kept
        if place is signatures:
            signatures[-1] += b"\n" + line[1:]
        else:
            place.append(line)
    return b"\n".join(kept) + end + body, signatures


def _key(armor: str) -> str:
    """The fingerprint of the key that a signature names (OpenSSH, PROTOCOL.sshsig)."""
    try:
        blob = base64.b64decode("".join(armor.split("\n")[1:-2]))
    except ValueError:
        return ""
    length = int.from_bytes(blob[10:14])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob[14 : 14 + length]).digest()).decode().rstrip("=")


def _checked(data: bytes, path: str) -> bytes:
    """A file of allowed signers, unchanged. Problem for its first wrong line: ssh-keygen would read no further."""
    for number, line in enumerate(map(str.strip, data.decode(errors="replace").split("\n")), 1):
        if line and not line.startswith("#") and _SIGNER.fullmatch(line) is None:
            says = "is not an allowed signer: write it like ann@example.org ssh-ed25519 AAAA… (see man ssh-keygen)"
            raise Problem(f"line {number} of {path} on main ([audit] allowed_signers) {says}")
    return data


def _is_by(signer: str, signers: Path, words: Sequence[str], payload: bytes) -> bool:
    return _keygen("verify", "-f", str(signers), "-I", signer, *words, given=payload)[0]


def _keygen(what: str, *words: str, given: bytes = b"") -> tuple[bool, str]:
    """Whether ssh-keygen succeeds, and its output. Times without a zone are UTC, in the file and in the question."""
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    try:
        command = ["ssh-keygen", "-Y", what, *words]
        ran = subprocess.run(command, input=given, env=environment, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Problem(f"ssh-keygen gave no answer within {_SECONDS:g} s: look at what it waits for") from error
    except OSError as error:
        says = "ssh-keygen cannot be run, and [audit] allowed_signers needs it: install OpenSSH 8.9 or newer"
        raise Problem(says) from error
    return ran.returncode == 0, ran.stdout.decode(errors="replace")
