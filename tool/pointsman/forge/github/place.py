"""The address of a repository on GitHub, from the remote's URL and the environment alone.

The host is that of GITHUB_SERVER_URL or GH_HOST (GitHub Enterprise), else github.com.
"""

from __future__ import annotations

import os
import re

from msgspec import Struct

from pointsman.forge.address import checked, path_on

TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")  # the first one that is set is used, as in gh
_NAME = r"[A-Za-z0-9._-]+"


class Place(Struct, frozen=True):
    """One repository on one GitHub. `server` is its web address, with no trailing slash."""

    server: str
    owner: str
    name: str

    @property
    def slug(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def api(self) -> str:
        """The URL of its REST API."""
        if os.environ.get("GITHUB_API_URL") and os.environ.get("GITHUB_SERVER_URL"):  # a workflow has both
            return checked(os.environ["GITHUB_API_URL"], "GITHUB_API_URL")
        scheme, _, host = self.server.partition("://")
        if host == "github.com" or host.endswith(".ghe.com"):
            return f"{scheme}://api.{host}"
        return f"{self.server}/api/v3"

    @property
    def graphql(self) -> str:
        """The URL of its GraphQL API."""
        if os.environ.get("GITHUB_GRAPHQL_URL") and os.environ.get("GITHUB_SERVER_URL"):
            return checked(os.environ["GITHUB_GRAPHQL_URL"], "GITHUB_GRAPHQL_URL")
        return f"{self.api.removesuffix('/v3')}/graphql"


def server() -> str:
    """The web address of the GitHub that the token is for."""
    if os.environ.get("GITHUB_SERVER_URL"):
        return checked(os.environ["GITHUB_SERVER_URL"], "GITHUB_SERVER_URL")
    if os.environ.get("GH_HOST"):
        return checked(f"https://{os.environ['GH_HOST']}", "GH_HOST")
    return "https://github.com"


def url_of(repository: str) -> str | None:
    """The URL of the repository that `[forge] repository` names; None if it names none."""
    return f"{server()}/{repository}" if repository else None


def place_of(remote: str | None) -> Place | None:
    """The repository that a remote's URL names; None if it is not on the GitHub of the environment."""
    if remote is None:
        return None
    at = server()
    named = re.fullmatch(rf"/?({_NAME})/({_NAME}?)(\.git)?/?", path_on(at, remote) or "")
    return Place(at, named[1], named[2]) if named is not None else None
