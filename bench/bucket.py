"""A SeaweedFS for one run of the bench, on loopback, that ends with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_SEAWEED = Path(__file__).parent.parent / "tests" / "support" / "seaweed.py"
NAME = "blobs"


def start(directory: Path) -> str:
    """Start it with its data below a new directory; host and port. Its owner's key is in the environment then."""
    keeper = [sys.executable, str(_SEAWEED), str(directory), str(os.getpid())]
    with subprocess.Popen(keeper, stdout=subprocess.PIPE, start_new_session=True) as started:
        assert started.stdout is not None
        server = json.loads(started.stdout.readline())
    os.environ |= {"AWS_ACCESS_KEY_ID": server["key"], "AWS_SECRET_ACCESS_KEY": server["secret"]}
    os.environ["AWS_REGION"] = "us-east-1"
    return str(server["host"])
