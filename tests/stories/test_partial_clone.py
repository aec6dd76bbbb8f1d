"""In a partial clone contents are fetched together, not each by a git of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shop import Shop, git, popularity

from pointsman.repo.repository import Repository
from pointsman.state.names import Pattern
from pointsman.verbs import audit, check, log, rollback, status, sync
from pointsman.workspace import Workspace

TARGETS, DAYS = 20, 3
FEW = 8  # fetches, each of which leaves a pack; one for each target would be 20


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Twenty targets, shipped together on three days."""
    shop = Shop(tmp_path_factory.mktemp("many") / "shop", '[forge]\nkind = "local"\ngroup = "run"\n')
    for day in range(1, DAYS + 1):
        files = [popularity(shop.root / f"{n}.json", 9 + day, tenant=f"t{n:02}", day=day) for n in range(TARGETS)]
        shop.publish(*files, merge=True)
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(shop.origin, "config", name, "true")
    return shop


def _refreshed(repo: Repository, verb: Callable[..., Any], *arguments: Any) -> None:
    repo.refresh()
    assert verb(repo, *arguments).exit_code == 0


VERBS: dict[str, Callable[[Repository], None]] = {
    "audit": lambda repo: _refreshed(repo, lambda repo: audit.audit(Workspace(repo))),
    "check": lambda repo: _refreshed(repo, lambda repo: check.check(Workspace(repo, offline=True), head="origin/main")),
    "check of a change": lambda repo: _refreshed(
        repo, lambda repo: check.check(Workspace(repo, offline=True), base="origin/main~1", head="origin/main")
    ),
    "log": lambda repo: _refreshed(repo, lambda repo: log.log(Workspace(repo), log.Query())),
    "rollback": lambda repo: _refreshed(
        repo, lambda repo: rollback.roll_back(Workspace(repo), rollback.Request((Pattern.parse("t*/home"),)))
    ),
    "status": lambda repo: _refreshed(repo, lambda repo: status.status(Workspace(repo), ())),
    "sync": lambda repo: _refreshed(repo, lambda repo: sync.sync(Workspace(repo), sync.Orders())),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb", [verb if verb == "sync" else pytest.param(verb, marks=pytest.mark.slow) for verb in VERBS]
)
def test_what_many_targets_need_is_fetched_together(shop: Shop, tmp_path: Path, verb: str) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{shop.origin}", str(clone))
    packs = clone / ".git" / "objects" / "pack"
    before = len(list(packs.glob("*.pack")))
    with shop.open(clone) as repo:
        VERBS[verb](repo)
    assert len(list(packs.glob("*.pack"))) - before <= FEW
