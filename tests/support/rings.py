"""A shop with rings: canary first, prod after its time, by a clock that tests set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shop import GROCER, Kept, Shop, popularity

from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.serving.seen import Seen
from pointsman.state.names import Target
from pointsman.verbs import status, sync
from pointsman.workspace import Workspace

HOUR = 3600
START = 1_900_000_000  # seconds since 1970, after every commit that a test makes

RING = """[[ring]]
name = "{name}"
serving = "file://{root}/{name}/{{tenant}}/{{surface}}/manifest.json"
{more}
"""


def rings_of(root: Path, **more: str) -> str:
    """Settings with these rings in their order; the value is what else the ring has."""
    return "".join(RING.format(name=name, root=root, more=text) for name, text in more.items())


class RingShop(Shop):
    """`now`: what the clock of every command says."""

    def __init__(self, root: Path, settings: str = "", rings: Mapping[str, str] | None = None) -> None:
        self.now = START
        super().__init__(root, settings + rings_of(root, **(rings or {"canary": "", "prod": 'after = "2h"'})))

    def workspace(self, repo: Any) -> Workspace:
        return Workspace(repo, clock=lambda: datetime.fromtimestamp(self.now, UTC))

    def pass_over(self, *, seen: Seen | None = None, later: int = 0, **orders: Any) -> Outcome[Any]:
        """A sync, so many seconds later."""
        self.now += later
        with open_repository(str(self.desk)) as repo:
            return sync.sync(self.workspace(repo), sync.Orders(**orders), seen)

    def look(self, *named: Target, **more: Any) -> Outcome[Any]:
        with open_repository(str(self.desk)) as repo:
            return status.status(self.workspace(repo), named, **more)

    def serves(self, ring: str, target: Target = GROCER) -> bytes | None:
        path = self.root / ring / str(target) / "manifest.json"
        return path.read_bytes() if path.exists() else None

    def set_rings(self, settings: str) -> None:
        """Push other settings after those of the store."""
        self.pull()
        path = self.desk / "pointsman.toml"
        store, _, rest = path.read_text().partition("[[ring]]")
        policy = rest[rest.index("[policy") :] if "[policy" in rest else ""
        path.write_text(f"{store}{settings}{policy}")
        self.push("rings")


def shipped(root: Path) -> RingShop:
    """A shop whose rings both have its one ship."""
    shop = RingShop(root)
    shop.publish(popularity(root / "p1.json", 10), merge=True)
    shop.pass_over()
    return shop


def at_start(kept: Kept) -> RingShop:
    """What a module keeps, as it was made, with the clock at `START`."""
    shop = kept.fresh()
    assert isinstance(shop, RingShop)
    shop.now = START
    return shop
