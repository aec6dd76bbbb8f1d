"""How GitHub lets us in: a token of the environment, or one of a GitHub App's installation.

The token goes to one host, the one that `place` names. Git gets it through its environment, so that it stands in no
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
    """What gives the token, anew where it has run out; None if the environment has none."""
    app, key = os.environ.get("POINTSMAN_APP_ID", ""), os.environ.get("POINTSMAN_APP_KEY", "")
    if app and key:
        from pointsman.forge.github.app import Installation

        return Installation(place, app, key)
    for variable in TOKENS:
        token = os.environ.get(variable, "")
        if token and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Problem(f"{variable} has a space or a line break in it: set it anew")
        if token:
            return lambda: token
    return None


def git_environment(remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """What git needs in its environment to be let in over https; None if nothing."""
    if remote is None or not remote.startswith(("https://", "http://")):
        return None
    place = place_of(remote)
    source = token_source(place) if place is not None else None
    if place is None or source is None:
        return None
    key = f"http.{place.server}/.extraHeader"

    def environment() -> Mapping[str, str]:
        basic = base64.b64encode(f"x-access-token:{source()}".encode()).decode()
        # The empty value drops what a checkout may have set: with two of these headers GitHub answers 400.
        # A user's own configuration in the environment stays before it.
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        return {
            "GIT_CONFIG_COUNT": str(first + 2),
            f"GIT_CONFIG_KEY_{first}": key,
            f"GIT_CONFIG_VALUE_{first}": "",
            f"GIT_CONFIG_KEY_{first + 1}": key,
            f"GIT_CONFIG_VALUE_{first + 1}": f"Authorization: Basic {basic}",
        }

    return environment
