"""Where a forge shows a commit, for pages that people click through. It takes no token to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

from pointsman.errors import Problem, without_secrets
from pointsman.forge.gitea.brand import FORGEJO, GITEA, Brand
from pointsman.forge.gitea.place import place_of as on_gitea
from pointsman.forge.github.place import place_of as on_github
from pointsman.forge.gitlab.place import place_of as on_gitlab
from pointsman.repo.repository import Repository


def commit_page(kind: str, remote: str | None) -> str | None:
    """The URL of a commit's page without the commit, for a kind of `[forge]`; None if nobody can tell."""
    find = _PAGES.get(kind)
    try:
        return find(remote) if find is not None else None
    except Problem:  # a variable of the environment names no server
        return None


def pages_of(kind: str, repo: Repository) -> str | None:
    """The same for a repository: of its origin as it is written, else as git reaches it."""
    return commit_page(kind, repo.remote) or commit_page(kind, repo.reached)


def called(repo: Repository) -> str:
    """What people call a repository: its origin, without credentials; its place on this machine if it has none."""
    return without_secrets(repo.remote or str(repo.worktree or repo.git_dir))


def _github(remote: str | None) -> str | None:
    place = on_github(remote)
    return f"{place.server}/{place.slug}/commit/" if place is not None else None


def _gitlab(remote: str | None) -> str | None:
    place = on_gitlab(remote)
    return f"{place.server}/{quote(place.path)}/-/commit/" if place is not None else None


def _gitea(brand: Brand) -> Callable[[str | None], str | None]:
    def page(remote: str | None) -> str | None:
        place = on_gitea(brand, remote)
        return f"{place.server}/{place.slug}/commit/" if place is not None else None

    return page


_PAGES: Mapping[str, Callable[[str | None], str | None]] = {
    "github": _github,
    "gitlab": _gitlab,
    "gitea": _gitea(GITEA),
    "forgejo": _gitea(FORGEJO),
}
