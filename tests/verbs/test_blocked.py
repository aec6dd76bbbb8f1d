"""What is in the way of one target's objects stops that target alone: a link that goes in circles, a policy of S3."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import proxy
import pytest
from bucketshop import BucketShop
from rings import HOUR, RingShop
from shop import Shop, popularity

from pointsman.cli.main import main
from pointsman.errors import Unreachable
from pointsman.outcome import Outcome
from pointsman.state.names import Target
from pointsman.verbs import verify
from pointsman.workspace import Workspace

TENANTS = ("grocer", "bookshop")


class Blocking:
    """A shop, and a way to take the objects of tenants away from whoever works with it, and to give them back."""

    def __init__(self, shop: Shop, between: proxy.Proxy | None) -> None:
        self.shop = shop
        self._between = between

    def block(self, *tenants: str, method: str = "") -> None:
        if self._between is not None:
            prefixes = [f"/{tenant}/" for tenant in tenants]
            self._between.rule = lambda call: (
                "403" if any(each in call.path for each in prefixes) and method in ("", call.method) else None
            )
            return
        for tenant in tenants:
            there = self.shop.store / tenant
            if there.exists():
                there.rename(self.shop.root / tenant)
            there.symlink_to(tenant)


@pytest.fixture(params=["directory", pytest.param("bucket", marks=pytest.mark.slow)])
def blocking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blocking]:
    if request.param == "directory":
        yield Blocking(Shop(tmp_path / "shop"), None)
        return
    server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        request.getfixturevalue("monkeypatch").setenv(name, value)
    with proxy.running(server.host) as between:
        yield Blocking(BucketShop(tmp_path / "shop", server, between.endpoint), between)


def both(root: Path, items: int, salt: str = "") -> list[Path]:
    return [popularity(root / salt / f"{tenant}.json", items, tenant=tenant, salt=salt) for tenant in TENANTS]


def outcomes(outcome: Outcome[Any]) -> dict[str, str]:
    return {each["target"]: each["outcome"] for each in outcome.document["targets"]}


def says(outcome: Outcome[Any]) -> dict[str, str]:
    return {
        each["target"]: f"{fault['rule']}: {fault['says']}"
        for each in outcome.document["targets"]
        for fault in each.get("faults") or ()
    }


def verified(shop: Shop) -> Outcome[Any]:
    with shop.open() as repo:
        return verify.verify(Workspace(repo), [], verify.Choice())


def test_at_publish_sync_and_verify_it_stops_its_own_target(blocking: Blocking, tmp_path: Path) -> None:
    shop = blocking.shop
    shop.publish(*both(tmp_path, 10), merge=True)
    blocking.block("bookshop")
    synced = shop.sync()
    assert outcomes(synced) == {"bookshop/home": "refused", "grocer/home": "written"}
    assert synced.exit_code == 5
    assert says(synced)["bookshop/home"].startswith("blocked: cannot read ")
    published = shop.publish(*both(tmp_path, 11, "b"))
    assert outcomes(published) == {"bookshop/home": "waits", "grocer/home": "opened"}
    assert published.exit_code == 5
    assert "blocked: cannot read " in says(published)["bookshop/home"]
    outcome = verified(shop)
    assert [(fault["rule"], "/bookshop/" in fault["path"]) for fault in outcome.document["faults"]] == [
        ("blocked", True)
    ]
    assert (outcome.exit_code, outcome.document["blobs"]) == (1, 1)


@pytest.mark.slow
def test_if_it_is_so_of_all_the_store_is_to_blame(blocking: Blocking, tmp_path: Path) -> None:
    shop = blocking.shop
    shop.publish(*both(tmp_path, 10), merge=True)
    blocking.block(*TENANTS)
    before = shop.main
    with pytest.raises(Unreachable, match="cannot read"):
        shop.publish(*both(tmp_path, 11, "b"))
    with pytest.raises(Unreachable, match="cannot read"):
        verified(shop)
    assert shop.main == before
    assert set(outcomes(shop.sync()).values()) == {"refused"}


@pytest.mark.slow
def test_what_may_be_read_and_not_written_stops_its_own_target_too(tmp_path: Path, s3: Any) -> None:
    with proxy.running(s3.host) as between:
        blocking = Blocking(BucketShop(tmp_path / "shop", s3, between.endpoint), between)
        blocking.block("bookshop", method="PUT")
        published = blocking.shop.publish(*both(tmp_path, 10), merge=True)
        assert outcomes(published) == {"bookshop/home": "waits", "grocer/home": "merged"}
        assert "no permission (403 AccessDenied)" in says(published)["bookshop/home"]
        blocking.block(*TENANTS, method="PUT")
        with pytest.raises(Unreachable, match="no permission"):
            blocking.shop.publish(*both(tmp_path, 11, "b"))


@pytest.mark.slow
@pytest.mark.parametrize("file", ["canary", "canary/grocer", "canary/grocer/home", "canary/.pointsman/claims"])
def test_a_file_where_a_directory_of_a_ring_belongs_is_told_and_the_others_go_on(
    tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = RingShop(tmp_path / "shop")
    shop.publish(*both(tmp_path, 5), merge=True)
    shop.pass_over()
    shop.publish(*both(tmp_path, 6), merge=True)
    shutil.rmtree(shop.root / file, ignore_errors=True)
    (shop.root / file).write_text("a file")
    says = f"{shop.root / file} is a file, and a directory of the store should stand there: take it away"
    alone = file.startswith("canary/grocer")

    def words(*typed: str) -> str:
        main(["-C", str(shop.desk), *typed])
        return "".join(capsys.readouterr())

    found = {each["target"]: each for each in shop.look().document["targets"]}
    assert says in found["grocer/home"]["places"][0]["unread"]
    assert found["grocer/home"]["serving"] == "unknown"
    assert found["bookshop/home"]["serving"] == ("behind" if alone else "unknown")
    for typed in (
        ("status", "grocer/home"),
        ("rollout",),
        ("rollback", "--break-glass", "grocer/home", "--reason", "x"),
    ):
        assert says in words(*typed), typed
    assert "claim holds nothing" not in words("status", "grocer/home")
    synced = shop.pass_over(later=3 * HOUR)
    told = json.dumps(synced.document)
    assert (synced.exit_code, says in told, "mounted" in " ".join(synced.notes)) == (5 if alone else 3, True, False)
    assert shop.serves("prod") is not None
    assert (b"/bookshop/" in (shop.serves("canary", Target("bookshop", "home")) or b"")) == (file != "canary")
    (shop.root / file).unlink()
    shop.pass_over()
    assert shop.serves("canary") == shop.manifest
