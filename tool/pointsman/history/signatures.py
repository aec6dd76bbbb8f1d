"""Signatures: whether commits of main are signed by someone whom main's own file of allowed signers names.

SSH signatures as git makes them, over the commit without its signature, in the namespace `git`; ssh-keygen judges them.
It is asked by itself and not through git, which starts it as often, one commit after the other, and as the repository's
configuration says. Only what the settings ask for is looked at.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pointsman.errors import Problem
from pointsman.gate.documents import Documents
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import SETTINGS_PATH, Settings
from pointsman.state.objects import Commit, Oid
from pointsman.state.paths import path_kind

_SSH, _ENDS = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_SIGNER = re.compile(r'\S.*\s(sk-)?(ssh|ecdsa)-[\w@.-]+\s+"?AAAA[A-Za-z0-9+/]+={0,3}(\s.*)?')
_TOLD = ("manifest", "hold")
_PATIENCE = 60  # seconds for one question to ssh-keygen


@dataclass(frozen=True, slots=True)
class Signature:
    """What a commit's signature is worth: who of the file has signed, or why nobody has."""

    signer: str = ""  # as the file names them
    key: str = ""  # its fingerprint, as ssh-keygen writes it
    says: str = ""


_NONE = Signature(says="the commit has no signature")


@dataclass(frozen=True, slots=True)
class _Question:
    """One commit to ask ssh-keygen about. `before`: the file as it was before the commit, which changes it."""

    commit: Oid
    payload: bytes
    armor: str
    at: int
    before: bytes | None


class Signatures:
    """The signatures of the commits of main, oldest first, by the file of main as it is now. `clock`: the time now."""

    def __init__(self, documents: Documents, main: Oid, *, clock: int | None = None) -> None:
        self._documents = documents
        self.settings = documents.settings(Snapshot(documents.repo, main))
        self._clock = int(time.time()) if clock is None else clock
        self._latest = 0
        self._asked: dict[Oid, tuple[str, ...]] = {}
        self._found: dict[Oid, Signature] = {}
        self._signers: dict[str, str] = {}  # key → whom the file named for it the last time
        self._file = b""
        if path := self.settings.allowed_signers:
            data = Snapshot(documents.repo, main).read(path)
            if data is None:
                raise Problem(f"[audit] allowed_signers names {path}, and main has no such file: commit it, or mend it")
            self._file = _checked(data, path)

    def look(self, commits: Sequence[Commit]) -> None:
        """Look at the signatures of those that must have one or that a report tells of, several at a time."""
        questions = []
        for commit in commits:
            # Who holds an expired key may set a clock back, but not behind what main has already.
            self._latest = min(max(self._latest, commit.time), self._clock)
            asked = self._must(commit)
            if asked:
                self._asked[commit.oid] = tuple(asked)
            elif not (self._file and any(path_kind(change.path) in _TOLD for change in commit.changes)):
                continue
            before = self._before(commit) if any(asked.values()) else None
            found = self._read(commit, before)
            if isinstance(found, Signature):
                self._found[commit.oid] = found
            else:
                questions.append(found)
        if questions:
            with tempfile.TemporaryDirectory(prefix="pointsman-") as directory:
                place = Path(directory)
                (place / "now").write_bytes(self._file)
                with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
                    answers = pool.map(lambda question: self._answer(question, place), questions)
                    self._found.update(zip((question.commit for question in questions), answers, strict=True))

    def of(self, commit: Oid) -> Signature | None:
        """What was found of a commit, None if it was not looked at."""
        return self._found.get(commit)

    def asked(self, commit: Oid) -> Sequence[str]:
        """The paths that a commit changed and that must be signed."""
        return self._asked.get(commit, ())

    def missing(self, commit: Oid) -> dict[str, str]:
        """Path → why nobody has signed it who may, for all that must be signed."""
        found = self._found.get(commit, _NONE)
        return {} if found.signer else dict.fromkeys(self.asked(commit), found.says)

    def _must(self, commit: Commit) -> dict[str, bool]:
        """Path → whether it says who may sign, of all that a commit changed and that must be signed.

        The settings before the commit decide, and what decides is always asked for: the file, and [audit] itself.
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
        """The file that the settings before a commit name, as it was before it; None where there was none."""
        base, head = (Snapshot(self._documents.repo, oid) for oid in (commit.parents[0], commit.oid))
        return base.read(self._documents.settings_then(base, head).allowed_signers)

    def _read(self, commit: Commit, before: bytes | None) -> Signature | _Question:
        """What to ask about a commit, or what is known without."""
        found = self._documents.repo.git.object(commit.oid)
        if found is None or found[0] != "commit":
            raise Problem(f"{commit.oid} is no commit of this repository")
        payload, signatures = _parted(found[1], b"gpgsig" if len(commit.oid) == 40 else b"gpgsig-sha256")
        if not signatures:
            return _NONE
        if len(signatures) > 1:
            return Signature(says=f"the commit has {len(signatures)} signatures: nobody can say which of them counts")
        armor = signatures[0].decode("ascii", "replace").strip()
        if not armor.startswith(_SSH) or not armor.endswith(_ENDS):
            kind = "OpenPGP" if armor.startswith("-----BEGIN PGP") else "another kind"
            return Signature(says=f"its signature is of {kind}: only SSH signatures are looked at")
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
                says = f"it changes who may sign, and {found.signer} with the key {found.key} might not before it"
                return Signature(key=found.key, says=says)
        return found

    def _verify(self, question: _Question, signature: Path, signers: Path) -> Signature:
        """Who of a file has signed, at the time that counts; ssh-keygen looks for whom first, unless that is known."""
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
            return Signature(key=key, says="its signature is not one of this commit, as it is now")
        says = f"it is signed with the key {key}, which that file does not allow to sign a commit of that time"
        return Signature(key=key, says=says)


def _audit(settings: Settings) -> tuple[str, str, tuple[str, ...]]:
    return settings.audit_since, settings.allowed_signers, settings.signed


def _is_below(path: str, named: str) -> bool:
    """Whether a path is what `[audit] signed` names, or stands below it."""
    return named == "." or path == named or path.startswith(f"{named.rstrip('/')}/")


def _parted(content: bytes, header: bytes) -> tuple[bytes, list[bytes]]:
    """A commit without its signatures, which is what they sign, and those that stand under one header.

    As git does it (commit.c, parse_signed_commit): a signature for the other hash is left out of what is signed, too.
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
    """The fingerprint of the key that a signature says it is of (OpenSSH, PROTOCOL.sshsig)."""
    try:
        blob = base64.b64decode("".join(armor.split("\n")[1:-2]))
    except ValueError:
        return ""
    length = int.from_bytes(blob[10:14])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob[14 : 14 + length]).digest()).decode().rstrip("=")


def _checked(data: bytes, path: str) -> bytes:
    """A file of allowed signers; Problem that names the first line which is none: ssh-keygen would read no further."""
    for number, line in enumerate(map(str.strip, data.decode(errors="replace").split("\n")), 1):
        if line and not line.startswith("#") and _SIGNER.fullmatch(line) is None:
            says = "is no allowed signer, such as: ann@example.org ssh-ed25519 AAAA… (ssh-keygen(1), ALLOWED SIGNERS)"
            raise Problem(f"line {number} of {path} on main, which [audit] allowed_signers names, {says}")
    return data


def _is_by(signer: str, signers: Path, words: Sequence[str], payload: bytes) -> bool:
    return _keygen("verify", "-f", str(signers), "-I", signer, *words, given=payload)[0]


def _keygen(what: str, *words: str, given: bytes = b"") -> tuple[bool, str]:
    """Whether ssh-keygen says yes, and what it prints. Times without a zone, in the file and asked, are UTC."""
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    try:
        command = ["ssh-keygen", "-Y", what, *words]
        ran = subprocess.run(command, input=given, env=environment, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        says = "ssh-keygen cannot be run, and [audit] allowed_signers needs it: install OpenSSH 8.9 or newer"
        raise Problem(says) from error
    return ran.returncode == 0, ran.stdout.decode(errors="replace")
