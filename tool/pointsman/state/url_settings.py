"""URLs of stores as settings have them, and how to reach their buckets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pointsman.errors import Problem
from pointsman.state.store_url import Access, split_url

ACCESS_KEYS = ("endpoint", "region", "allow_http")


def read_url(value: object, key: str, where: str) -> str:
    """The URL of a store, without a trailing slash. Problem, with the key that has it, if it cannot be used."""
    if not isinstance(value, str):
        raise Problem(f"{where}: {key} must be a string")
    try:
        split_url(value)
    except Problem as error:
        raise Problem(f"{where}: {key}: {error}") from error
    url = value.rstrip("/")
    if url == "file:":
        raise Problem(f"{where}: {key}: {value!r} is the root of the file system: name a directory in it")
    if re.search(r"[\x00-\x1f\x7f{}]|//|/\.{1,2}(/|$)", url.partition("://")[2]):
        raise Problem(
            f"{where}: {key}: {value!r} has an empty or dotted part, a brace or a control character: take it out"
        )
    return url


def read_access(table: Mapping[str, Any], urls: Sequence[str], where: str, name: str = "[store]") -> Access:
    """How to reach the buckets of s3:// URLs. Problem if a key is set that no URL here uses. `name`: the table."""
    access = Access(
        _text(table, "endpoint", where, name).rstrip("/"),
        _text(table, "region", where, name),
        table.get("allow_http", False),
    )
    if not isinstance(access.allow_http, bool):
        raise Problem(f"{where}: {name} allow_http must be true or false")
    if access != Access() and not any(url.startswith("s3://") for url in urls):
        raise Problem(
            f"{where}: endpoint, region and allow_http in {name} are for s3:// URLs: take them out, there is none here"
        )
    if re.search("[@?#]", access.endpoint):
        raise Problem(
            f"{where}: {name} endpoint has credentials or a query: take them out, they come from the environment"
        )
    if access.endpoint and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._/-]*)?", access.endpoint):
        raise Problem(f"{where}: {name} endpoint must be like https://host:port, not {access.endpoint!r}")
    if access.endpoint.startswith("http://") != access.allow_http:
        says = "an http:// endpoint needs allow_http = true, and only such an endpoint: others can read what is sent"
        raise Problem(f"{where}: {name} endpoint: {says}")
    if not re.fullmatch(r"[A-Za-z0-9-]*", access.region):
        raise Problem(f"{where}: {name} region must be a name such as us-east-1, not {access.region!r}")
    return access


def _text(table: Mapping[str, Any], key: str, where: str, name: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise Problem(f"{where}: {name} {key} must be a string")
    return value
