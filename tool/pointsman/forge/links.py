"""Where a forge shows a commit, for pages that people click through. It takes no token to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import quote

from pointsman.errors import Problem, without_secrets
from pointsman.forge.gitea.brand import FORGEJO, GITEA, Brand
from pointsman.forge.gitea.place import place_of as on_gitea
from pointsman.forge.gitea.place import url_of as named_on_gitea
from pointsman.forge.github.place import place_of as on_github
from pointsman.forge.github.place import url_of as named_on_github
from pointsman.forge.gitlab.place import place_of as on_gitlab
from pointsman.forge.gitlab.place import url_of as named_on_gitlab
from pointsman.repo.repository import Repository
from pointsman.settings import Settings


def commit_page(kind: str, remote: str | None, repository: str = "") -> str | None:
    """The URL of a commit's page without the commit, for a kind of `[forge]`; None if nobody can tell.

    `repository`: as `[forge]` names it, where the remote's URL does not.
    """
    if kind not in _PAGES:
        return None
    page, named = _PAGES[kind]
    try:
        return page(remote) or page(named(repository))
    except Problem:  # a variable of the environment names no server
        return None


def pages_of(settings: Settings, repo: Repository) -> str | None:
    """The same for a repository: of its origin as it is written, as git reaches it, or as the settings name it."""
    return commit_page(settings.forge, repo.remote) or commit_page(settings.forge, repo.reached, settings.repository)


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


# By kind: what finds the pages for a URL, and the URL of what `[forge] repository` names.
_PAGES: Mapping[str, tuple[Callable[[str | None], str | None], Callable[[str], str | None]]] = {
    "github": (_github, named_on_github),
    "gitlab": (_gitlab, named_on_gitlab),
    "gitea": (_gitea(GITEA), partial(named_on_gitea, GITEA)),
    "forgejo": (_gitea(FORGEJO), partial(named_on_gitea, FORGEJO)),
}
