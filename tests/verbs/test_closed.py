"""What a user may not look into stops the target that it belongs to, is told by its own name, and stops nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rights import of_a_user
from shop import Shop
from test_blocked import both, outcomes, says

from pointsman.errors import Blocked, Unreachable
from pointsman.serving.seen import Seen
from pointsman.store.closed import Closed
from pointsman.store.directory import FileStore
from pointsman.verbs import audit, find, gc, status, sync
from pointsman.workspace import Workspace

# Nothing can be seen, only what is known by name, only names.
MODES = (0o000, pytest.param(0o111, marks=pytest.mark.slow), pytest.param(0o444, marks=pytest.mark.slow))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Two tenants, who are served. What a test closes is open again at its end: whoever tidies up must get in."""
    shop = Shop(tmp_path / "shop")
    shop.publish(*both(tmp_path, 10), merge=True)
    shop.sync()
    yield shop
    _open_all(shop.store)


def _open_all(directory: Path) -> None:
    directory.chmod(0o755)
    for each in directory.iterdir():
        if each.is_dir():
            _open_all(each)


def _pointers(shop: Shop, tenant: str) -> Path:
    return shop.store / "registry" / "current" / tenant


def _serving(shop: Shop) -> dict[str, str]:
    with shop.open() as repo:
        return {each.target: each.serving for each in status.status(Workspace(repo), []).value.targets}


@pytest.mark.parametrize("mode", MODES)
def test_a_directory_of_pointers_that_cannot_be_listed_stops_its_own_targets_alone(
    shop: Shop, tmp_path: Path, mode: int
) -> None:
    shop.publish(*both(tmp_path, 11, "new"), merge=True)
    _pointers(shop, "bookshop").chmod(mode)
    with of_a_user():
        synced, seen = shop.sync(), _serving(shop)
    assert synced.exit_code == 5
    assert outcomes(synced) == {"bookshop/home": "refused", "grocer/home": "written"}
    assert "blocked: cannot list " in says(synced)["bookshop/home"]
    assert says(synced)["bookshop/home"].endswith(f"check the owner and mode of {_pointers(shop, 'bookshop')}")
    # Who may only not list it can still read the pointer, whose name is known.
    assert seen == {"bookshop/home": "behind" if mode == 0o111 else "unknown", "grocer/home": "in-sync"}
    _pointers(shop, "bookshop").chmod(0o755)
    assert outcomes(shop.sync()) == {"bookshop/home": "written", "grocer/home": "unchanged"}


@pytest.mark.slow
def test_a_sync_that_runs_all_the_time_goes_on_with_the_others(shop: Shop, tmp_path: Path) -> None:
    seen = Seen(every=3600)
    with shop.open() as repo:
        workspace = Workspace(repo)
        sync.sync(workspace, seen=seen)
        _pointers(shop, "bookshop").chmod(0)
        shop.publish(*both(tmp_path, 11, "new"), merge=True)
        with of_a_user():
            first = sync.sync(workspace.again(), seen=seen)
            again = sync.sync(workspace.again(), seen=seen)
        _pointers(shop, "bookshop").chmod(0o755)
        last = sync.sync(workspace.again(), seen=seen)
    assert outcomes(first) == {"bookshop/home": "refused", "grocer/home": "written"}
    assert outcomes(again) == {"bookshop/home": "refused", "grocer/home": "unchanged"}
    assert outcomes(last) == {"bookshop/home": "written", "grocer/home": "unchanged"}


@pytest.mark.slow
def test_a_closed_directory_of_nobody_on_main_is_told_by_each_pass(shop: Shop) -> None:
    _pointers(shop, "toyshop").mkdir(mode=0)
    seen = Seen(every=3600)
    with shop.open() as repo, of_a_user():
        workspace = Workspace(repo)
        for _ in range(3):
            synced = sync.sync(workspace.again(), seen=seen)
            assert set(outcomes(synced).values()) == {"unchanged"}
            assert [
                f"mode of {_pointers(shop, 'toyshop')}; what serving has there" in note for note in synced.notes
            ] == [True]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES[:2])
def test_where_claims_of_a_tenant_may_be_missed_only_its_own_targets_keep_what_they_have(
    shop: Shop, tmp_path: Path, mode: int
) -> None:
    shop.publish(*both(tmp_path, 11, "new"), merge=True)
    claims = shop.store / "registry" / "current" / ".pointsman" / "claims"
    for tenant in ("aviary", "bookshop"):
        (claims / tenant).mkdir(parents=True)
    (claims / "aviary" / "home.json").write_text("{}")  # listed before the closed one
    before = _pointers(shop, "bookshop").joinpath("home/manifest.json").read_bytes()
    (claims / "bookshop").chmod(mode)
    with of_a_user():
        synced = shop.sync()
        with shop.open() as repo:
            shown = {each.target: each.refused for each in status.status(Workspace(repo), []).value.targets}
            told = audit.audit(Workspace(repo)).notes
    assert synced.exit_code == 5
    assert outcomes(synced) == {"bookshop/home": "refused", "grocer/home": "written"}
    assert "check the owner and mode of " in says(synced)["bookshop/home"]
    assert _pointers(shop, "bookshop").joinpath("home/manifest.json").read_bytes() == before
    assert [fault.rule for fault in shown["bookshop/home"] or ()] == ["blocked"]
    assert not shown["grocer/home"]
    assert [note for note in told if "which claims are open is not known" in note]
    (claims / "bookshop").chmod(0o755)
    assert outcomes(shop.sync())["bookshop/home"] == "written"


@pytest.mark.slow
@pytest.mark.parametrize("below", ["", "registry/current"])
def test_what_nothing_of_ours_can_be_in_is_in_nobodys_way(shop: Shop, below: str) -> None:
    """Every new file system has such a directory, and only root may look into it."""
    (shop.store / below / "lost+found").mkdir(mode=0)
    with shop.open() as repo, of_a_user():
        synced = sync.sync(Workspace(repo))
        found = find.find(Workspace(repo), find.Request(("i1",)))
        collected = gc.gc(Workspace(repo), gc.Request(delete=True))
    assert (synced.exit_code, synced.notes, found.exit_code, collected.exit_code) == (0, (), 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["bookshop/home", ".pointsman/trash", "registry/current/bookshop"])
def test_who_must_know_all_that_is_there_stops_and_names_what_is_closed(shop: Shop, closed: str) -> None:
    (shop.store / closed).mkdir(parents=True, exist_ok=True)
    (shop.store / closed).chmod(0)
    with shop.open() as repo, of_a_user(), pytest.raises(Unreachable) as error:
        gc.gc(Workspace(repo), gc.Request(delete=True))
    assert f"{closed}/: no permission: check the owner and mode of {shop.store / closed}" in str(error.value)


def test_the_root_itself_is_no_directory_to_pass_by(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store", "file:///store")
    store.create("t/s/manifest.json", b"{}")
    store.root.chmod(0)
    closed: Closed = {}
    with of_a_user():
        for listing in (lambda: list(store.keys("", 3, closed)), lambda: store.tags(3, (), "manifest.json", closed)):
            with pytest.raises(Blocked):
                listing()
    store.root.chmod(0o755)
    assert closed == {}


def _read(store: FileStore) -> None:
    store.read("t/s/a.json")


def _write(store: FileStore) -> None:
    with store.locked(""):
        held = store.read("t/s/a.json")
        store.replace("t/s/a.json", b"[]", was=held.tag if held else None)


@pytest.mark.parametrize(
    "closed, mode, does",
    [("t/s/a.json", 0, _read), ("t", 0, _read), ("t/s", 0o555, _write), (".pointsman/lock", 0, _write)],
)
def test_what_gives_no_permission_is_told_by_its_own_path(
    tmp_path: Path, closed: str, mode: int, does: Callable[[FileStore], None]
) -> None:
    """The object, the directory on the way to it, or the one that a new file would be put into."""
    store = FileStore(tmp_path / "store", "file:///store")
    _write(store)
    (store.root / closed).chmod(mode)
    with of_a_user(), pytest.raises(Blocked) as error:
        does(store)
    (store.root / closed).chmod(0o755)
    assert str(error.value).endswith(f"no permission: check the owner and mode of {store.root / closed}")
