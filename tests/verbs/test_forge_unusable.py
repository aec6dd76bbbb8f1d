"""Settings that name a forge on which the origin is not: nothing is written that no pull request is for."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import Kept, Shop, popularity

from pointsman.cli.main import main

WORDS = (
    "publish new.json",
    "publish new.json --record-only",
    "rollback grocer/home",
    "hold grocer/home --until 2d --reason why",
    "retire OLD --reason why",
    "ship grocer/home popularity@OLD --reship --reason why",
)


def make(root: Path) -> Shop:
    """Two versions are recorded, and from then on the settings name a forge that the origin is not on."""
    shop = Shop(root, '[forge]\nrecords = "push"\n[retention]\nkeep_ships = 0\nkeep_days = 0\n')
    for day in (1, 2):
        shop.publish(popularity(root / f"{day}.json", 10 + day, day=day), merge=True)
    shop.pull()
    settings = shop.desk / "pointsman.toml"
    changed = settings.read_text().replace('records = "push"', 'kind = "github"\nrecords = "pull-request"')
    settings.write_text(changed)
    shop.push()
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("unusable"), make)


@pytest.mark.parametrize(
    "words", [pytest.param(each, marks=() if each == WORDS[0] else pytest.mark.slow) for each in WORDS]
)
def test_nothing_is_written_that_no_pull_request_is_for(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    popularity(tmp_path / "new.json", 12, day=3)
    shop = kept.fresh()
    stored = (path.stem for path in (shop.store / "grocer/home/popularity").iterdir())
    [old] = (version for version in stored if version not in str(shop.manifest))
    before = shop.everything()
    assert main(["-C", str(shop.desk), *words.replace("OLD", old).split()]) == 2
    assert 'forge.kind is "github", but origin is not' in capsys.readouterr().err
    assert shop.everything() == before
