"""Which URIs can be blobs of a store: no other is ever opened."""

from __future__ import annotations

import pytest

from pointsman.gate.blobs import Blobs
from pointsman.gate.payloads import Contents
from pointsman.settings import Settings

VERSION = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "rest",
    [
        f"grocer/home/{VERSION}.json",
        f"grocer/home/cooc/popularity/{VERSION}.json",
        f"grocer/home/cooc/{VERSION}",
        f"grocer/home/cooc/{VERSION}.json.bak",
        f"grocer/home/cooc/{VERSION}.json\n",
        f"grocer/home/cooc/{VERSION}.retired.json",
        f"grocer/home/cooc/{VERSION[:-1]}.json",
        f"grocer/home/cooc/{VERSION}0.json",
        f"grocer/home/cooc/{VERSION.upper()}.json",
        "grocer/home/cooc/latest.json",
        f"/grocer/home/cooc/{VERSION}.json",
        f"grocer//cooc/{VERSION}.json",
        f"../home/cooc/{VERSION}.json",
        f"grocer/../cooc/{VERSION}.json",
        f"grocer/home/%2e%2e/{VERSION}.json",
        f"grocer/home/cooc/{VERSION}.json?x",
        f"grocer/home/cooc/{VERSION}.json#x",
        f"x@grocer/home/cooc/{VERSION}.json",
    ],
)
def test_what_is_no_key_of_a_blob_is_never_asked_for(tmp_path_factory: pytest.TempPathFactory, rest: str) -> None:
    store = f"file://{tmp_path_factory.mktemp('store')}"
    looking = Blobs(Contents())
    assert looking.look(Settings(store), {f"{store}/{rest}": False}) == {}
    assert looking.look(Settings("s3://never-asked"), {f"s3://never-asked/{rest}": False}) == {}


def test_the_key_of_a_blob_is_asked_for_below_the_store_and_the_former_ones_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    here, former, other = (f"file://{tmp_path_factory.mktemp(name)}" for name in ("here", "former", "other"))
    settings, key = Settings(here, former=(former,)), f"grocer/home/cooc/{VERSION}.json"
    uris = [f"{each}{rest}" for each in (here, former, other) for rest in (f"/{key}", f"x/{key}", key)]
    found = Blobs(Contents()).look(settings, dict.fromkeys(uris, False))
    assert {uri: blob.size for uri, blob in found.items()} == {f"{here}/{key}": None, f"{former}/{key}": None}
