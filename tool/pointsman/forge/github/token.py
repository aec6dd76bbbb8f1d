"""The token for GitHub: from the environment, or from the installation of a GitHub App.

The token is sent only to the host that `place` names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from pointsman.forge import credentials
from pointsman.forge.github.place import TOKENS, Place, place_of


def token_source(place: Place) -> Callable[[], str] | None:
    """A function that returns a valid token, a new one if necessary; None if the environment has none."""
    app, key = os.environ.get("POINTSMAN_APP_ID", ""), os.environ.get("POINTSMAN_APP_KEY", "")
    if app and key:
        from pointsman.forge.github.app import Installation

        return Installation(place, app, key)
    token = credentials.token_in(TOKENS)
    return (lambda: token) if token else None


def git_environment(remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """A function that returns git's environment with the token for https; None if there is no token for it."""
    if remote is None or not remote.startswith(("https://", "http://")):
        return None
    place = place_of(remote)
    source = token_source(place) if place is not None else None
    if place is None or source is None:
        return None
    return credentials.git_environment(place.server, "x-access-token", source)
