"""The only place that runs ssh-keygen for evidence and approvals. Whatever it is given, it ends in time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pointsman.errors import Problem, one_line
from pointsman.repo.pipes import TooMuch, end, exchange
from pointsman.trust.ssh_signature import SshSignature, read_signature

_VERIFY_SECONDS = 20.0
_SIGN_SECONDS = 180.0  # somebody may have to type a passphrase or to touch a key
_MOST_OUT = 1 << 16  # bytes
_MISSING = "ssh-keygen cannot be run: install OpenSSH 8.9 or newer"
_ANYONE = "signer"  # whose key it is, is not asked here


class NoKeygen(Problem):
    """ssh-keygen cannot be run, or gives no answer. Nothing is proven, and nothing is disproved."""


def is_installed() -> bool:
    """Whether there is an ssh-keygen to run."""
    from shutil import which

    return which("ssh-keygen") is not None


def verify(payload: bytes, armor: str, signature: SshSignature) -> bool:
    """Whether the key that a signature names has made it, over `payload` and for the namespace that it names."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pointsman-") as directory:
        place = Path(directory)
        (place / "sig").write_text(armor)
        (place / "signers").write_text(f'{_ANYONE} namespaces="{signature.namespace}" {signature.public}\n')
        words = ["verify", "-f", str(place / "signers"), "-I", _ANYONE, "-n", signature.namespace]
        code, _, _ = _run([*words, "-s", str(place / "sig")], payload, _VERIFY_SECONDS)
    return code == 0


def sign(payload: bytes, namespace: str, key: str) -> str:
    """The armored signature of `payload` by a key: the path of its file (private, or public if an agent has the private
    one), or the public key itself. Problem if it cannot be used.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pointsman-") as directory:
        literal = key.removeprefix("key::")
        words = ["sign", "-n", namespace, "-f"]
        if literal != key or literal.startswith(("ssh-", "sk-", "ecdsa-")):
            path = Path(directory) / "key.pub"
            path.write_text(f"{literal}\n")
            words += [str(path), "-U"]
        else:
            words += [str(Path(key).expanduser())]
            if not Path(words[-1]).is_file():
                raise Problem(f"there is no key {key}: name the file of an SSH key with --key")
        code, out, err = _sign(words, payload)
    armor = out.decode("ascii", "replace")
    if code != 0 or read_signature(armor) is None:
        last = one_line(err.decode(errors="replace").strip().rpartition("\n")[2])
        raise Problem(f"ssh-keygen does not sign with {key}{f': {last}' if last else ''}")
    return armor


def _sign(words: Sequence[str], payload: bytes) -> tuple[int, bytes, bytes]:
    """Exit code, output and errors. On a terminal it can say there that it waits for a passphrase or for a touch."""
    errors = None if sys.stderr.isatty() else subprocess.PIPE
    command = ["ssh-keygen", "-Y", *words]
    try:
        ran = subprocess.run(
            command, input=payload, stdout=subprocess.PIPE, stderr=errors, timeout=_SIGN_SECONDS, check=False
        )
    except OSError as error:
        raise NoKeygen(_MISSING) from error
    except subprocess.TimeoutExpired as error:
        raise NoKeygen(
            f"ssh-keygen did not sign within {_SIGN_SECONDS:g} s: look whether it waits for your key"
        ) from error
    return ran.returncode, ran.stdout, ran.stderr or b""


def _run(words: Sequence[str], given: bytes, seconds: float) -> tuple[int, bytes, bytes]:
    """Exit code, output and errors, both with an end."""
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    try:
        process = subprocess.Popen(
            ["ssh-keygen", "-Y", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        raise NoKeygen(_MISSING) from error
    try:
        out, err = exchange(process, given, seconds, _MOST_OUT)
    except (TimeoutError, TooMuch) as error:
        end(process)
        raise NoKeygen(f"ssh-keygen -Y {words[0]} gave no answer within {seconds:g} s") from error
    except BaseException:
        end(process)
        raise
    return process.returncode, out, err
