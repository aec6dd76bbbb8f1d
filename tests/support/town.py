"""A shop with several targets, and its site."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from broken_glass import SETTINGS, let_ann_sign
from clocks import clock_at
from shop import Shop, git, popularity

from pointsman.errors import Problem
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.verbs import publish, site, sync
from pointsman.workspace import Workspace

MINUTE = 60
POLICY = "[policy]\nkept_low = false\nsize_jump = false\nwindow_regressed = false\nitems_drop = false\n"


class Town:
    """A shop with several targets. `now`: what the clock of whoever looks at serving says; git has the machine's."""

    def __init__(self, root: Path, settings: str = "") -> None:
        self.root = root
        self.now = int(time.time()) + 3600
        self.count = 0
        self.shop = Shop(root, f'{SETTINGS}{settings}{POLICY}window_stale = "30d"\n')
        let_ann_sign(self.shop)
        self.out = root / "out"

    def do(self, verb: Callable[..., object], *words: object, **more: object) -> None:
        """One command. What it refuses is no concern of a site."""
        now = self.now if verb is sync.sync else None
        with open_repository(str(self.shop.desk)) as repo, suppress(Problem):
            verb(Workspace(repo, clock=clock_at(now)), *words, **more)

    def artifact(self, target: Target, until_stale: int = 60 * MINUTE) -> Path:
        """A version whose window becomes too old in so many seconds."""
        self.count += 1
        end = self.now - 30 * 86400 + until_stale
        window = {"start": rfc3339(end - 3600), "end": rfc3339(end)}
        path = self.root / f"p{self.count}.json"
        return popularity(
            path, 5 + self.count, tenant=target.tenant, surface=target.surface, salt=str(self.count), window=window
        )

    def ship(self, *targets: Target, merge: bool = True, until_stale: int = 60 * MINUTE) -> None:
        paths = tuple(str(self.artifact(target, until_stale)) for target in targets)
        self.do(publish.publish, publish.Request(paths, merge=merge))

    def sync(self) -> None:
        self.do(sync.sync, sync.Orders(accept_rewrite=True, prune=True))

    def pointers(self) -> list[Path]:
        places = [self.shop.store / "registry" / "current", self.root / "canary", self.root / "prod"]
        return [path for place in places for path in sorted(place.glob("[!.]*/*/manifest.json"))]

    def build(self, out: Path, repo: Repository | None = None) -> site.Site:
        if repo is not None:
            return site.site(Workspace(repo, clock=clock_at(self.now)), str(out)).value
        with open_repository(str(self.shop.desk)) as opened:
            return self.build(out, opened)

    def by_hand(self, message: str, files: dict[str, str | None]) -> None:
        """A commit past all commands."""
        git(self.shop.desk, "fetch", "-q", "origin")
        git(self.shop.desk, "reset", "-q", "--hard", "origin/main")
        for name, text in files.items():
            path = self.shop.desk / name
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self.shop.push(message)


def pages(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.html")}
