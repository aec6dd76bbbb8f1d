"""The S3 server of the tests ends with the run that it serves, however that ends."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import seaweed


@pytest.mark.slow
def test_a_run_that_is_killed_takes_its_server_with_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as run:
        server = seaweed.shared(tmp_path / "s3", run.pid)
        assert seaweed.shared(tmp_path / "s3", run.pid) == server, "whoever asks again gets the same one"
        host, _, port = server.host.partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            run.kill()
            # Reset, if the server had not taken the connection up yet.
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b"", "it is closed when the server has ended"
