"""A version is taken as any command prints it: what a person copies need not be cut."""

from __future__ import annotations

import pytest
from shop import GROCER, Kept, Shop

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.history.versions import Asked, find_version, find_versions, read_version
from pointsman.repo.snapshot import Snapshot

FULL = "3f2a91c0" * 8


@pytest.mark.parametrize(
    "text, asked",
    [
        ("3f2a", Asked("3f2a")),
        (FULL, Asked(FULL)),
        ("cooc@3f2a91c0", Asked("3f2a91c0", "cooc")),
        (f"sha256:{FULL}", Asked(FULL)),
        (f"registry/grocer/home/cooc/{FULL}.json", Asked(FULL, "cooc")),
        (f"registry/grocer/home/cooc/{FULL}.retired.json", Asked(FULL, "cooc")),
        (f"s3://bucket/a/b/grocer/home/my.type/{FULL}.json", Asked(FULL, "my.type")),
        ("3f2", None),
        ("3F2A", None),
        ("cooc@", None),
        ("@3f2a", None),
        ("grocer/home", None),
        ("grocer/3f2a", None),
        ("registry/grocer/home/cooc/3f2a.json", None),
        (f"{FULL}0", None),
    ],
)
def test_digits_and_whatever_is_printed_name_a_version(text: str, asked: Asked | None) -> None:
    assert read_version(text) == asked


@pytest.fixture
def shop(two_ships: Kept) -> Shop:
    return two_ships.fresh()


def test_a_type_that_is_named_is_that_of_the_version(shop: Shop) -> None:
    with shop.open() as repo:
        head = Snapshot(repo, repo.refresh())
        (uri,) = (uri for uri in shop.manifest.decode().split('"') if "/cooc/" in uri)
        version = uri[-69:-5]
        for text in (version[:8], f"cooc@{version[:8]}", f"sha256:{version}", uri, GROCER.record_path("cooc", version)):
            assert find_version(head, text).version == version
        assert len(find_versions(head, [version, uri])) == 1
        with pytest.raises(Problem, match=f"{version[:8]} is a version of grocer/home cooc, not of popularity"):
            find_version(head, f"popularity@{version[:8]}")
        with pytest.raises(Problem, match=r"'3F2A' is not a version: .* in lower case"):
            find_version(head, "3F2A")


def test_show_get_and_retire_take_it(shop: Shop, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (uri,) = (uri for uri in shop.manifest.decode().split('"') if "/cooc/" in uri)
    name = f"cooc@{uri[-69:-57]}"
    assert main(["-C", str(shop.desk), "show", name]) == 0
    assert f"grocer/home cooc {uri[-69:-5]}".encode() in capfdbinary.readouterr().out
    assert main(["-C", str(shop.desk), "get", uri]) == 0
    assert capfdbinary.readouterr().out == (shop.store / uri.removeprefix(f"file://{shop.store}/")).read_bytes()
    assert main(["-C", str(shop.desk), "retire", name, "--dry-run"]) == 1  # it is current
    assert capfdbinary.readouterr().out.startswith(f"grocer/home cooc {uri[-69:-57]}: refused".encode())
