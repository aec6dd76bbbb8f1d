"""What sync and status ask of stores grows with the number of rings, not with its square."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rings import RingShop
from shop import popularity

from pointsman.store.directory import FileStore

ASKED = ("read", "size", "keys", "tags", "create", "replace", "delete")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each question was put to any store."""
    counts = Counter[str]()
    for name in ASKED:
        plain = getattr(FileStore, name)

        def counted(store: FileStore, *words: Any, plain: Any = plain, name: str = name, **more: Any) -> Any:
            counts[name] += 1
            return plain(store, *words, **more)

        monkeypatch.setattr(FileStore, name, counted)
    return counts


@pytest.mark.slow
def test_twice_the_rings_cost_twice_the_requests(tmp_path: Path, asked: Counter[str]) -> None:
    found: list[Counter[str]] = []
    for count in (4, 8, 16):
        rings = {"r0": "", **{f"r{place}": 'after = "2h"' for place in range(1, count)}}
        shop = RingShop(tmp_path / str(count), rings=rings)
        shop.publish(
            popularity(tmp_path / "p1.json", 10), popularity(tmp_path / "p2.json", 9, surface="cart"), merge=True
        )
        asked.clear()
        shop.look()  # no ring has anything yet
        shop.pass_over()
        found.append(asked.copy())
        assert {shop.serves(name) for name in rings} == {shop.manifest}
    few, some, many = found
    assert {name: many[name] - some[name] for name in ASKED} == {name: 2 * (some[name] - few[name]) for name in ASKED}
