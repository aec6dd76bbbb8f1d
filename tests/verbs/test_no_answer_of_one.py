"""One object of a bucket that never answers stops its own target alone, as long as the bucket answers for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import proxy
import pytest
from bucketshop import BucketShop
from shop import GROCER, cooc, popularity
from test_blocked import both, outcomes, says, verified

from pointsman.errors import NoAnswer, Unreachable
from pointsman.serving.claims import claim_key
from pointsman.state.store_url import Access
from pointsman.store.open import open_store
from pointsman.verbs import find, status
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def between(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[proxy.Proxy]:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "1")
    with proxy.running(s3.host) as running:
        yield running


@pytest.mark.parametrize("fault", ["500", "truncated", "hang"])
def test_at_publish_sync_status_and_verify_it_stops_its_own_target(
    tmp_path: Path, s3: Any, between: proxy.Proxy, fault: str
) -> None:
    shop = BucketShop(tmp_path / "shop", s3, between.endpoint)
    shop.publish(*both(tmp_path, 10), merge=True)
    shop.sync()
    shop.publish(*both(tmp_path, 11, "b"), merge=True)

    between.rule = lambda call: fault if "/current/bookshop/" in call.path else None
    synced = shop.sync()
    assert outcomes(synced) == {"bookshop/home": "refused", "grocer/home": "written"}
    assert synced.exit_code == 5
    assert "blocked: cannot read " in says(synced)["bookshop/home"]
    with shop.open() as repo:
        seen = {each.target: each.serving for each in status.status(Workspace(repo), []).value.targets}
    assert seen == {"bookshop/home": "unknown", "grocer/home": "in-sync"}

    between.rule = lambda call: fault if "/bookshop/home/popularity/" in call.path else None
    published = shop.publish(*both(tmp_path, 12, "c"))
    assert outcomes(published) == {"bookshop/home": "waits", "grocer/home": "opened"}
    outcome = verified(shop)
    assert [(each["rule"], "/bookshop/" in each["path"]) for each in outcome.document["faults"]] == [("blocked", True)]
    with shop.open() as repo:
        found = find.find(Workspace(repo), find.Request(("item-0001",)))
    assert found.exit_code == 5
    assert {each["uri"].split("/")[4] for each in found.document["unread"]} == {"bookshop"}


def test_a_publish_that_only_waits_for_one_blob_of_its_target_is_to_be_run_again(
    tmp_path: Path, s3: Any, between: proxy.Proxy
) -> None:
    shop = BucketShop(tmp_path / "shop", s3, between.endpoint)
    files = [popularity(tmp_path / "p.json", 3), cooc(tmp_path / "c.json", 3)]
    between.rule = lambda call: "503" if call.method == "PUT" and "/cooc/" in call.path else None
    published = shop.publish(*files)
    assert (published.exit_code, outcomes(published)) == (3, {"grocer/home": "waits"})
    between.rule = lambda call: "429" if call.method == "GET" and "/cooc/" in call.path else None
    with pytest.raises(Unreachable, match="the store is throttling requests"):
        shop.publish(*files)
    between.rule = lambda call: None
    assert (shop.publish(*files).exit_code, len(shop.objects())) == (0, 3)


def test_a_store_that_answers_for_nothing_or_for_too_little_is_what_cannot_be_reached(
    s3: Any, between: proxy.Proxy
) -> None:
    def told(fault: str, key: str) -> type[Exception]:
        between.rule = lambda call: fault if call.method == "GET" or fault == "reset" else None
        with pytest.raises(Unreachable) as raised:
            store.read(key)
        return raised.type

    access = Access(endpoint=between.endpoint, allow_http=True)
    store = open_store("s3://blobs/of-nobody", access)
    assert told("reset", "a") is Unreachable
    store = open_store("s3://blobs/of-nobody", access)
    between.rule = lambda call: "500" if "/lost/" in call.path else None
    for each in range(8):
        with pytest.raises(NoAnswer, match="answers for other keys"):
            store.read(f"lost/{each}")
    with pytest.raises(Unreachable) as raised:
        store.read("lost/8")
    assert raised.type is Unreachable
    between.rule = lambda call: None
    assert [store.read(f"lost/{each}") for each in range(9)] == [None] * 9
    between.rule = lambda call: "500" if "/lost/" in call.path else None
    with pytest.raises(NoAnswer):  # those of long ago, which answer again, do not count: a watch runs for weeks
        store.read("lost/0")


def test_a_claim_that_is_not_answered_for_is_no_claim_that_holds_nothing(
    tmp_path: Path, s3: Any, between: proxy.Proxy
) -> None:
    shop = BucketShop(tmp_path / "shop", s3, between.endpoint)
    shop.publish(*both(tmp_path, 10), merge=True)
    shop.sync()
    shop.put(f"registry/current/{claim_key(GROCER)}", b"{}")
    shop.publish(*both(tmp_path, 11, "b"), merge=True)
    before = shop.serving
    between.rule = lambda call: "500" if call.path.endswith(claim_key(GROCER)) else None
    with pytest.raises(Unreachable):
        shop.sync()
    assert shop.serving == before
