"""A commit of main whose clock is far ahead is told by whoever looks, and fails nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from shop import Shop, git, popularity

from pointsman.cli.main import main


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A target that was shipped, and then a commit whose clock is 400 days ahead."""
    shop = Shop(tmp_path)
    shop.publish(popularity(shop.root / "p1.json", 10), merge=True)
    shop.pull()
    env = {"GIT_COMMITTER_DATE": f"{int(time.time()) + 400 * 86400 + 600} +0000"}
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "from a bot", env=env)
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    return shop


def said(shop: Shop, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["-C", str(shop.desk), *words]) == 0
    return capsys.readouterr().err


def test_publish_and_audit_name_the_commit_and_pass(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = f"the clock of {shop.main[:12]} on main is 400 days ahead: until "
    popularity(shop.root / "p2.json", 11, day=2)
    assert sentence in said(shop, capsys, "publish", str(shop.root / "p2.json"), "--dry-run")
    assert said(shop, capsys, "audit").count(sentence) == 1


@pytest.mark.slow
def test_doctor_tells_it_later_too_and_publish_of_the_target_that_it_shipped(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = f"the clock of {shop.main[:12]} on main is 400 days ahead: until "
    popularity(shop.root / "p2.json", 11, day=2)
    popularity(shop.root / "p3.json", 12, day=3)
    popularity(shop.root / "other.json", 12, surface="cart")
    ahead = f"{int(time.time()) + 3 * 86400 + 600} +0000"
    monkeypatch.setenv("GIT_COMMITTER_DATE", ahead)
    said(shop, capsys, "publish", str(shop.root / "p2.json"), "--merge")
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    git(shop.desk, "pull", "-q", "--ff-only", "origin", "main")
    shop.push("in time")
    assert sentence in said(shop, capsys, "doctor")
    assert "on main is 3 days ahead" in said(shop, capsys, "publish", str(shop.root / "p3.json"), "--dry-run")
    assert "ahead" not in said(shop, capsys, "publish", str(shop.root / "other.json"), "--dry-run")
    assert sentence in said(shop, capsys, "audit", "--json")
