"""The token for GitHub: from the environment, or from the installation of a GitHub App.

The token is sent only to the host that `place` names. Git gets it through its environment, so it is in no
configuration, no remote and no process's arguments.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping

from pointsman.errors import Problem
from pointsman.forge.github.place import TOKENS, Place, place_of


def token_source(place: Place) -> Callable[[], str] | None:
    """A function that returns a valid token, a new one if necessary; None if the environment has none."""
    app, key = os.environ.get("POINTSMAN_APP_ID", ""), os.environ.get("POINTSMAN_APP_KEY", "")
    if app and key:
        from pointsman.forge.github.app import Installation

        return Installation(place, app, key)
    for variable in TOKENS:
        token = os.environ.get(variable, "")
        if token and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Problem(f"{variable} has a space or a line break in it: take it out")
        if token:
            return lambda: token
    return None


def git_environment(remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """A function that returns git's environment with the token for https; None if there is no token for it."""
    if remote is None or not remote.startswith(("https://", "http://")):
        return None
    place = place_of(remote)
    source = token_source(place) if place is not None else None
    if place is None or source is None:
        return None
    key = f"http.{place.server}/.extraHeader"

    def environment() -> Mapping[str, str]:
        basic = base64.b64encode(f"x-access-token:{source()}".encode()).decode()
        # The empty value removes a header that a checkout may have set: GitHub answers 400 to two of them.
        # The configuration that a user has in the environment stays before it.
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        return {
            "GIT_CONFIG_COUNT": str(first + 2),
            f"GIT_CONFIG_KEY_{first}": key,
            f"GIT_CONFIG_VALUE_{first}": "",
            f"GIT_CONFIG_KEY_{first + 1}": key,
            f"GIT_CONFIG_VALUE_{first + 1}": f"Authorization: Basic {basic}",
        }

    return environment
