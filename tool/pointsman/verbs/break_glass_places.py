"""Where serving reads, without the origin: by what the checkout knew last, or by the command line alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.repo.last_known import LastKnown
from pointsman.serving.pointers import open_place
from pointsman.serving.states import read_left
from pointsman.settings import SETTINGS_PATH, read_settings
from pointsman.state.hook_url import check_invalidate
from pointsman.state.place import Place
from pointsman.state.serving_settings import read_places
from pointsman.state.store_url import Access
from pointsman.state.url_settings import read_url
from pointsman.store.vacant import is_bare


class Reached(Struct, frozen=True):
    """A place. `is_ring`: it is one of the rings. `notes`: what went wrong there after the pointer."""

    place: Place
    is_ring: bool = False
    notes: list[str] = field(default_factory=list)


def reached(known: LastKnown, store: str | None, serving: str | None) -> Sequence[Reached]:
    """The places that the command line names, else those of the last settings that the checkout knows."""
    if store is not None or serving is not None:
        return [_of_command_line(store, serving)]
    text = known.file(SETTINGS_PATH)
    if text is None:
        raise Problem("there is no checkout here: name the store with --store URL, or the pointers with --serving URL")
    settings = read_settings(text, SETTINGS_PATH, skip=[])
    return [Reached(place, bool(settings.rings)) for place in settings.serving]


def never_synced(place: Place) -> Problem:
    """What is wrong with a place that has no fence."""
    look = ": is it mounted? Else" if is_bare(place.root) else ":"
    return Problem(f"no sync was ever at {place.root}{look} name the place of the pointers with --serving or --store")


def _of_command_line(store: str | None, serving: str | None) -> Reached:
    url = read_url(store, "--store", "the command line") if store is not None else ""
    table = {"manifest": serving} if serving is not None else {}
    (place,) = read_places(table, url, "the command line")
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "") if place.manifest.startswith("s3://") else ""
    place = replace(place, access=Access(endpoint, allow_http=endpoint.startswith("http://")))
    left = read_left(open_place(place))
    return Reached(replace(place, name=left.place, invalidate=_callable(left.invalidate)))


def _callable(urls: Sequence[str]) -> tuple[str, ...]:
    """Those URLs that settings could have."""
    found = []
    for url in urls:
        with contextlib.suppress(Problem):
            check_invalidate(url, "")
            found.append(url)
    return tuple(found)
