"""The kinds of forges, and which one a repository uses. A new kind needs one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.forge.base import Forge
from pointsman.forge.codeowners import CODEOWNERS_PATHS, GITLAB_PATHS, CodeOwners, SectionedOwners
from pointsman.forge.local import LocalForge
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot


def _local(repo: Repository, repository: str) -> Forge:
    del repository
    return LocalForge(repo)


def _github(repo: Repository, repository: str) -> Forge:
    from pointsman.forge.github.pulls import open_github

    return open_github(repo, repository)


def _gitlab(repo: Repository, repository: str) -> Forge:
    from pointsman.forge.gitlab.pulls import open_gitlab

    return open_gitlab(repo, repository)


def _gitea(repo: Repository, repository: str) -> Forge:
    from pointsman.forge.gitea.brand import GITEA
    from pointsman.forge.gitea.pulls import open_pulls

    return open_pulls(GITEA, repo, repository)


def _forgejo(repo: Repository, repository: str) -> Forge:
    from pointsman.forge.gitea.brand import FORGEJO
    from pointsman.forge.gitea.pulls import open_pulls

    return open_pulls(FORGEJO, repo, repository)


class Kind(Struct, frozen=True):
    """One kind of forge.

    `open` takes what `[forge] repository` names, too. `words`: what `init` writes in the place of other words, in the
    files that a new repository gets. `records`: how they reach main where `init` sets it up. `owners`: the files with
    owners who must approve; the first one counts, and `read_owners` reads it.
    """

    open: Callable[[Repository, str], Forge]
    pulls: str  # its pull requests, in words for a sentence
    files: Mapping[str, str]  # what `init` writes for it: path in the new repository → its file under templates/
    steps: Sequence[str]  # what is left to do after `init`, in its order; {there}: the new repository, for a shell
    by_hand: Sequence[str] = ()  # and after these, which `doctor --fix` leaves to people
    runner: Sequence[str] = ()  # besides, where nothing logs in to a cloud
    words: Sequence[tuple[str, str]] = ()
    records: str = "pull-request"
    owners: Sequence[str] = CODEOWNERS_PATHS
    read_owners: Callable[[str], CodeOwners] = CodeOwners


_PUSHED = "  git -C {there} remote add origin %s && git -C {there} push -u origin main"
_LOCAL_STEPS = (
    "next: git -C {there} remote add origin URL && git -C {there} push -u origin main",
    "then, in it: pointsman publish PATH…, pointsman pr merge ID, pointsman sync",
    "a pull request is a branch of the origin; to have GitHub's: docs/github.md",
)
_GITHUB_STEPS = (
    "next, in this order, with your own OWNER/REPO (docs/github.md says more):",
    "  put your teams into CODEOWNERS, and commit that; then make an empty repository on GitHub, and push",
    "  gh repo create OWNER/REPO --private",
    _PUSHED % "https://github.com/OWNER/REPO.git",
    '  GITHUB_TOKEN="$(gh auth token)" pointsman -C {there} doctor --fix',
    "    sets how it merges, the rules of main, Actions, the environment of the secrets, and labels",
)
_GITHUB_BY_HAND = (
    "  make a GitHub App that may write Contents, Pull requests and Issues, and install it there; then",
    "  gh variable set POINTSMAN_APP_ID --repo OWNER/REPO --body 'its id'",
    "  gh secret set POINTSMAN_APP_KEY --repo OWNER/REPO --env pointsman < KEY.pem",
)
_GITHUB_RUNNER = (
    "  a runner that reaches the store, named with",
    "  gh variable set POINTSMAN_RUNNER --repo OWNER/REPO --body 'its label'",
)
_GITHUB_FILES = {
    ".github/install.sh": "github/install.sh",
    ".github/ruleset.json": "github/ruleset.json",
    ".github/workflows/audit.yml": "github/workflows/audit.yml",
    ".github/workflows/check.yml": "github/workflows/check.yml",
    ".github/workflows/drift.yml": "github/workflows/drift.yml",
    ".github/workflows/gc.yml": "github/workflows/gc.yml",
    ".github/workflows/hold.yml": "github/workflows/hold.yml",
    ".github/workflows/publish.yml": "github/workflows/publish.yml",
    ".github/workflows/refresh.yml": "github/workflows/refresh.yml",
    ".github/workflows/revert.yml": "github/workflows/revert.yml",
    ".github/workflows/rollback.yml": "github/workflows/rollback.yml",
    ".github/workflows/ship.yml": "github/workflows/ship.yml",
    ".github/workflows/ship-version.yml": "github/workflows/ship-version.yml",
    "docs/github.md": "github.md",
}

_GITLAB_FILES = {
    ".gitlab-ci.yml": "gitlab/gitlab-ci.yml",
    ".gitlab/install.sh": "gitlab/install.sh",
    "CODEOWNERS": "gitlab/CODEOWNERS",
    "docs/gitlab.md": "gitlab.md",
}
_GITLAB_STEPS = (
    "next, in this order, with your own GROUP/PROJECT (docs/gitlab.md says more):",
    "  put your groups into CODEOWNERS, commit that, and make an empty project on GitLab; then",
    _PUSHED % "https://gitlab.com/GROUP/PROJECT.git",
    "  GITLAB_TOKEN=MAINTAINER pointsman -C {there} doctor --fix",
    "    sets how it merges, that nobody pushes to main, and labels",
)
_SCHEDULE = "  glab schedule create -R GROUP/PROJECT --ref main --description {0} --cron '{1}'"
_SCHEDULE += " --variable POINTSMAN_WHEN:{0}"
_GITLAB_BY_HAND = (
    "  Settings > Repository > Protected branches > main > Allowed to merge: your reviewers, and the bot",
    "  Settings > Access tokens: the bot's, a developer with the scope api",
    "  Settings > CI/CD > Variables: GITLAB_TOKEN, the bot's, masked and protected; POINTSMAN_IMAGE, an image with git",
    "    and Python 3.11 or newer",
    "  three schedules, each of which runs as whoever makes it, who must be allowed to merge into main:",
    _SCHEDULE.format("hourly", "7 * * * *"),
    _SCHEDULE.format("daily", "23 5 * * *"),
    _SCHEDULE.format("weekly", "41 4 * * 0"),
    "  and where rings have checks, a fourth:",
    _SCHEDULE.replace("{0}", "ring", 1).format("rollout", "*/10 * * * *"),
    "  a runner that reaches the store",
)
_GITEA_FILES = {
    "CODEOWNERS": "gitea/CODEOWNERS",
    ".gitea/install.sh": "gitea/install.sh",
    ".gitea/main.json": "gitea/main.json",
    ".gitea/merging.json": "gitea/merging.json",
    ".gitea/workflows/audit.yml": "gitea/workflows/audit.yml",
    ".gitea/workflows/check.yml": "gitea/workflows/check.yml",
    ".gitea/workflows/drift.yml": "gitea/workflows/drift.yml",
    ".gitea/workflows/gc.yml": "gitea/workflows/gc.yml",
    ".gitea/workflows/hold.yml": "gitea/workflows/hold.yml",
    ".gitea/workflows/publish.yml": "gitea/workflows/publish.yml",
    ".gitea/workflows/refresh.yml": "gitea/workflows/refresh.yml",
    ".gitea/workflows/revert.yml": "gitea/workflows/revert.yml",
    ".gitea/workflows/rollback.yml": "gitea/workflows/rollback.yml",
    ".gitea/workflows/ship.yml": "gitea/workflows/ship.yml",
    ".gitea/workflows/ship-version.yml": "gitea/workflows/ship-version.yml",
    "docs/gitea.md": "gitea.md",
}
_GITEA_STEPS = (
    "next, in this order, with your own OWNER/REPO and server (docs/gitea.md says more):",
    "  put your teams into CODEOWNERS and your reviewers into .gitea/main.json, and commit that",
    "  make an empty repository on Gitea; then",
    "  export GITEA_SERVER_URL=https://git.example.com",
    _PUSHED % '"$GITEA_SERVER_URL/OWNER/REPO.git"',
    "  GITEA_TOKEN=ADMINISTRATOR pointsman -C {there} doctor --fix",
    "    sets squashes as the one way to merge, main's rule, and labels",
)
_GITEA_BY_HAND = (
    "  make a user for the bot that may write; its token is the secret POINTSMAN_TOKEN (Settings > Actions > Secrets)",
    "  a runner that reaches the store, with the label pointsman",
)
_FORGEJO_WORDS = (
    ("gitea", "forgejo"),
    ("GITEA", "FORGEJO"),
    ("Gitea", "Forgejo"),
    ("block_admin_merge_override", "apply_to_admins"),
)


def _in_forgejo(text: str) -> str:
    for old, new in _FORGEJO_WORDS:
        text = text.replace(old, new)
    return text


# By the name in `[forge] kind`; `settings.FORGES` lists them. A local repository may be pushed to GitHub later.
KINDS: Mapping[str, Kind] = {
    "local": Kind(_local, "its branches", _GITHUB_FILES, _LOCAL_STEPS, records="push", owners=()),
    "github": Kind(_github, "those of GitHub", _GITHUB_FILES, _GITHUB_STEPS, _GITHUB_BY_HAND, _GITHUB_RUNNER),
    "gitlab": Kind(
        _gitlab,
        "those of GitLab",
        _GITLAB_FILES,
        _GITLAB_STEPS,
        _GITLAB_BY_HAND,
        words=(("docs/github.md", "docs/gitlab.md"), ("on GitHub", "on GitLab")),
        owners=GITLAB_PATHS,
        read_owners=SectionedOwners,
    ),
    "gitea": Kind(
        _gitea,
        "those of Gitea",
        _GITEA_FILES,
        _GITEA_STEPS,
        _GITEA_BY_HAND,
        words=(("docs/github.md", "docs/gitea.md"), ("on GitHub", "on Gitea")),
        records="push",
        owners=(),
    ),
    "forgejo": Kind(
        _forgejo,
        "those of Forgejo",
        {_in_forgejo(path): name for path, name in _GITEA_FILES.items()},
        tuple(map(_in_forgejo, _GITEA_STEPS)),
        tuple(map(_in_forgejo, _GITEA_BY_HAND)),
        words=(("docs/github.md", "docs/forgejo.md"), ("on GitHub", "on Forgejo"), *_FORGEJO_WORDS),
        records="push",
        owners=(),
    ),
}


def open_forge(repo: Repository) -> Forge:
    """The forge that the settings on main name; Problem if it cannot be used."""
    settings = Snapshot(repo, repo.main).settings()
    kind = settings.forge
    if kind not in KINDS:
        raise Problem(f"forge.kind is {kind!r}, which this version of pointsman does not know: install a newer one")
    return KINDS[kind].open(repo, settings.repository)


def credentials(remote: str | None) -> Callable[[], Mapping[str, str]] | None:
    """A function that returns git's environment with the credentials for a remote; None if there are none."""
    from pointsman.forge.gitea.brand import FORGEJO, GITEA
    from pointsman.forge.gitea.place import credentials_for
    from pointsman.forge.github.token import git_environment as github
    from pointsman.forge.gitlab.place import git_environment as gitlab

    return github(remote) or gitlab(remote) or credentials_for(GITEA, remote) or credentials_for(FORGEJO, remote)
