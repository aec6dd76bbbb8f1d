"""What the origin has at one moment, for whoever is about to delete: every branch, and the main that pushes meet.

A fetch may be answered by a replica that lags behind. So main counts only if the side that takes pushes has it, too.
"""

from __future__ import annotations

import hashlib
import os

from pointsman.errors import MovedFirst, Unreachable
from pointsman.repo.open import place_of
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import Repository
from pointsman.repo.turns import TICKETS
from pointsman.state.names import short
from pointsman.state.objects import Oid

_HEADS = "refs/heads/"
_MOST_OF_REFS = 1 << 26  # bytes: half a million branches


def present(repo: Repository, *, sure: bool) -> tuple[Oid, list[Oid]]:
    """Main, and the heads of all other branches and of what waits to land, fetched.

    `sure`: the side of the origin that takes pushes is asked, too, which needs the right to push.

    Unreachable if the origin does not tell or does not give them. MovedFirst if they moved meanwhile.
    """
    main = repo.refresh()
    if sure:
        _require_main(repo, main)
    every = _every(repo)
    if every.get(MAIN) != main:
        raise MovedFirst("main moved while gc looked at it: run pointsman gc again")
    branches = {ref: oid for ref, oid in every.items() if oid != main}
    heads = sorted(set(branches.values()))
    why = repo.fetch_commits([oid for oid in heads if oid not in repo.heads.values()])
    if why is not None:
        if _every(repo) != every:
            raise MovedFirst("branches moved while gc looked at them: run pointsman gc again")
        raise Unreachable(f"a branch of the origin could not be fetched, so gc takes nothing: {why}")
    for ref, oid in branches.items():
        if repo.git.commit_at(oid) is None:
            raise Unreachable(f"{ref} of the origin is {oid}, which is no commit, so gc takes nothing: delete that ref")
    return main, heads


def _every(repo: Repository) -> dict[str, Oid]:
    """Every branch of the origin, and the refs of those who wait to move main."""
    if repo.remote is None:
        text = repo.git.ask("for-each-ref", "--format=%(objectname)%09%(refname)", _HEADS, TICKETS)
    else:
        patterns = (f"{_HEADS}*", f"{TICKETS}*")
        ran = repo.git.talk(repo.remote, "ls-remote", "--refs", "origin", *patterns, most=_MOST_OF_REFS)
        if ran.code != 0:
            raise Unreachable(f"cannot read origin ({repo.remote}): {ran.reason}")
        text = ran.out.decode(errors="surrogateescape")
    pairs = (line.split("\t") for line in text.splitlines())
    return {ref: Oid(oid) for oid, ref in pairs if ref.startswith((_HEADS, TICKETS))}


def _require_main(repo: Repository, main: Oid) -> None:
    """MovedFirst unless the side of the origin that takes pushes has `main`, too. Nothing is pushed."""
    if repo.remote is None:
        return
    words = ("push", "--dry-run", "--porcelain", "--no-verify", "--no-signed", f"--force-with-lease={MAIN}:{main}")
    ran = repo.git.talk(repo.remote, *words, "origin", f"{main}:{MAIN}")
    lines = ran.out.decode(errors="replace").splitlines()
    if ran.code == 0 and any(line.startswith("=") for line in lines):
        return
    if any(line.startswith("!") for line in lines):
        raise MovedFirst(
            f"the origin answers fetches with main at {short(main)} and takes pushes on another: "
            "someone pushed just now, or a replica lags behind; run pointsman gc again"
        )
    raise Unreachable(
        f"origin ({repo.remote}) did not tell what its main is to pushes ({ran.reason}): gc needs the right to push"
    )


def identity(repo: Repository) -> str:
    """A name for the repository, the same for all its clones: its first commit, and a hash of where its origin is."""
    repo.deepen_to_first()
    commits = repo.clocks(repo.main)
    return f"{commits.at(commits.height - len(commits) + 1)}{identity_ending(repo)}"


def identity_ending(repo: Repository) -> str:
    """How that name ends, which a shallow clone knows, too."""
    host, path = place_of(_where(repo))
    place = f"{host}/{path.removesuffix('/.git').strip('/')}"
    return f"-{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()[:16]}"


def _where(repo: Repository) -> str:
    if repo.remote is None:
        return str(repo.git_dir)
    url = repo.reached or ""
    return url if "://" in url or ":" in url else os.path.join(repo.worktree or repo.git_dir, url)
