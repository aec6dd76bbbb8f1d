"""`[serving]`, or several `[[serving]]`, of `pointsman.toml`: the places that serving reads."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.state.hook_url import check_invalidate
from pointsman.state.names import NAME
from pointsman.state.place import Place
from pointsman.state.store_url import Access
from pointsman.state.times import duration
from pointsman.state.url_settings import ACCESS_KEYS, read_access, read_url

ONE_KEYS = ("manifest", "invalidate", "instance_ttl", "frozen_after")
EACH_KEYS = ("name", *ONE_KEYS, "store", *ACCESS_KEYS)


class Written(Struct, frozen=True):
    """How several places are written: the table of each, and its key for the pointers."""

    table: str
    key: str


SERVING = Written("[[serving]]", "manifest")
RING = Written("[[ring]]", "serving")


def read_places(given: Any, store: str, where: str, written: Written = SERVING) -> tuple[Place, ...]:
    """The place of `[serving]`, or those of several tables, whose access is still to be read.

    `store`: the URL of the blobs. Problem, with the key and how to fix it, if one is wrong.
    """
    if not isinstance(given, list):
        return (Place("", _template(given.get("manifest"), store, where), **_each_may(given, where)),)
    places = tuple(_place(table, store, where, written) for table in given)
    names = [place.name.casefold() for place in places]
    if twice := next((place.name for place in places if names.count(place.name.casefold()) > 1), None):
        what = "ring" if written is RING else "place"
        raise Problem(f"{where}: two of {written.table} have the name {twice}: give each {what} a name of its own")
    return places


def shared_urls(places: Sequence[Place], given: Any) -> list[str]:
    """The URLs that are reached by the endpoint and the region of `[store]`."""
    shared = (place for place, table in _each(places, given) if not _has_own_access(table))
    return [url for place in shared for url in (place.manifest, place.store)]


def with_access(
    places: Sequence[Place], given: Any, access: Access, where: str, written: Written = SERVING
) -> tuple[Place, ...]:
    """The same places with how to reach them: as each says itself, or by `access`, which is that of `[store]`.

    Problem if two places meet: each has a fence below its prefix, and lists all that is there.
    """
    found = tuple(_reached(place, table, access, where, written) for place, table in _each(places, given))
    for one, other in itertools.combinations(found, 2):
        if one.meets(other):
            says = f"{one.name} has {one.root}, and {other.name} has {other.root}"
            raise Problem(f"{where}: {written.table} {written.key}: {says}: neither prefix may be in the other one")
    return found


def _each(places: Sequence[Place], given: Any) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    return zip(places, given if isinstance(given, list) else [given], strict=True)


def _has_own_access(table: Mapping[str, Any]) -> bool:
    return any(key in table for key in ACCESS_KEYS)


def _place(table: Any, store: str, where: str, written: Written) -> Place:
    name = table.get("name")
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        says = "each needs a name, of letters, digits, '.', '_' and '-'"
        such = "canary" if written is RING else "eu"
        raise Problem(f"{where}: {written.table} name: {says}, not {name!r}" if "name" in table else
                      f"{where}: {written.table}: {says}, such as name = \"{such}\"")  # fmt: skip
    if "manifest" not in table:
        says = "it needs manifest, the URL of its pointers with {tenant} and {surface}"
        raise Problem(f"{where}: {written.table} {name}: {says}")
    replica = read_url(table["store"], f"{written.table} store", where) if table.get("store", "") != "" else ""
    return Place(name, _template(table["manifest"], store, where), store=replica, **_each_may(table, where))


def _reached(place: Place, table: Mapping[str, Any], access: Access, where: str, written: Written) -> Place:
    if not _has_own_access(table):
        return replace(place, access=access)
    own = {"region": access.region, **table}
    if "endpoint" not in table:
        own = {"endpoint": access.endpoint, "allow_http": access.allow_http, **own}
    urls, name = (place.manifest, place.store), f"{written.table} {place.name}"
    return replace(place, access=read_access(own, urls, where, name))


def _each_may(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of a place that one of several may have, and the only one, too."""
    frozen_after = _seconds(table, "frozen_after", where) if "frozen_after" in table else None
    ttl = _seconds({"instance_ttl": "15m", **table}, "instance_ttl", where)
    return {"instance_ttl": ttl, "frozen_after": frozen_after, "invalidate": _hooks(table, where)}


def _seconds(table: Mapping[str, Any], key: str, where: str) -> int:
    given = table[key]
    seconds = duration(given) if isinstance(given, str) else None
    if seconds is None:
        raise Problem(f'{where}: [serving] {key} must be a time such as "15m" or "2h", not {given!r}')
    return seconds


def _hooks(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The URLs that clear the caches of serving."""
    given = table.get("invalidate", [])
    urls = [each for each in (given if isinstance(given, list) else [given]) if each != ""]
    for url in urls:
        check_invalidate(url, where)
    return tuple(dict.fromkeys(urls))


def _template(value: object, store: str, where: str) -> str:
    if value is None:
        return f"{store}/registry/current/{{tenant}}/{{surface}}/manifest.json"
    if not isinstance(value, str):
        raise Problem(f"{where}: [serving] manifest must be a string")
    if (
        value.count("{tenant}") != 1
        or value.count("{surface}") != 1
        or re.search("[{}]", re.sub(r"\{(tenant|surface)\}", "", value))
    ):
        raise Problem(f"{where}: [serving] manifest must have {{tenant}} and {{surface}} once each: {value!r}")
    between = re.search(r"\{(?:tenant|surface)\}(.*)\{(?:tenant|surface)\}", value)
    if between is None or "/" not in between[1]:
        raise Problem(f"{where}: [serving] manifest needs a slash between {{tenant}} and {{surface}}: {value!r}")
    constant = value[: value.index("{")]
    if re.search(r"/(\.|/|$)|[\x00-\x1f\x7f]", value[len(constant.rpartition("/")[0]) :]):
        says = "a name in it, from the first brace on, is empty, begins with a dot or has a control character"
        raise Problem(f"{where}: [serving] manifest: {says}: {value!r}")
    read_url(constant, "[serving] manifest", where)
    if not value.startswith("file://"):
        read_url(value.replace("{tenant}", "t").replace("{surface}", "s"), "[serving] manifest", where)
        if constant.count("/") < 3:
            raise Problem(
                f"{where}: [serving] manifest: the bucket name cannot contain {{tenant}} or {{surface}}: {value!r}"
            )
    return value
