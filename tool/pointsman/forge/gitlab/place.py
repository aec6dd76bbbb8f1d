"""The address of a project on GitLab, from the remote's URL and the environment alone, and the token for it.

The server is that of GITLAB_HOST (a host or a URL, as for glab), else that of CI_SERVER_URL, which every job has, else
gitlab.com. A URL may have a path: an instance below https://host/gitlab has its API below that path, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from msgspec import Struct

from pointsman.forge import credentials
from pointsman.forge.address import checked, path_on
from pointsman.patterns import pattern

TOKEN = "GITLAB_TOKEN"
_JOB_TOKEN = "CI_JOB_TOKEN"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_PATH = pattern(rf"{_NAME}(?:/{_NAME})+")


class Place(Struct, frozen=True):
    """One project on one GitLab. `server` is its web address, `path` the project's with all its groups."""

    server: str
    path: str

    @property
    def api(self) -> str:
        """The URL of the API, "Base URL" of docs.gitlab.com/api/rest."""
        return f"{self.server}/api/v4"

    @property
    def root(self) -> str:
        """The project's path in the API, which takes its path with every slash escaped."""
        return f"/projects/{quote(self.path, safe='')}"


def server() -> str:
    """The web address of the GitLab that the token is for."""
    if host := os.environ.get("GITLAB_HOST", ""):
        return checked(host if "://" in host else f"https://{host}", "GITLAB_HOST")
    if url := os.environ.get("CI_SERVER_URL", ""):
        return checked(url, "CI_SERVER_URL")
    return "https://gitlab.com"


def url_of(repository: str) -> str | None:
    """The URL of the project that `[forge] repository` names; None if it names none."""
    return f"{server()}/{repository}" if repository else None


def place_of(remote: str | None) -> Place | None:
    """The project that a remote's URL names; None if it is not on the GitLab of the environment."""
    if remote is None:
        return None
    at = server()
    path = path_on(at, remote) or ""
    below = urlsplit(at).path
    if below and urlsplit(remote).scheme in ("http", "https"):  # ssh knows nothing of the instance's path
        if not path.startswith(f"{below}/"):
            return None
        path = path.removeprefix(below)
    path = path.strip("/").removesuffix(".git")
    return Place(at, path) if _PATH.fullmatch(path) else None


def git_environment(remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """A function that returns git's environment with the token for https; None if there is no token for it.

    A job has a token of its own, with which it may fetch. It counts for the GitLab that runs the job, and no other.
    """
    if remote is None or not remote.startswith(("https://", "http://")):
        return None
    place = place_of(remote)
    if place is None:
        return None
    if token := credentials.token_in((TOKEN,)):
        return credentials.git_environment(place.server, "oauth2", lambda: token)
    own = os.environ.get("CI_SERVER_URL", "").rstrip("/") == place.server
    if own and (token := credentials.token_in((_JOB_TOKEN,))):
        return credentials.git_environment(place.server, "gitlab-ci-token", lambda: token)
    return None
