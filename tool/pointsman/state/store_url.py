"""URLs of stores: the schemes, and how to reach buckets."""

from __future__ import annotations

import re

from msgspec import Struct

from pointsman.errors import Problem

BUCKETS = ("s3", "gs", "az")
SCHEMES = ("file", *BUCKETS)
_FORMS = "file:///absolute/path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"


def split_url(url: str) -> tuple[str, str]:
    """Scheme and rest of a store URL. Problem if it cannot be used; the message does not repeat credentials."""
    scheme, found, rest = url.partition("://")
    if scheme != "file" and re.search("[@?#]", rest):
        raise Problem("take credentials, query and fragment out of the URL: credentials come from the environment")
    if not found or scheme not in SCHEMES or (scheme == "file" and not rest.startswith("/")):
        raise Problem(f"this version cannot use {url!r} as a store: write {_FORMS}")
    if scheme != "file" and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._=-]+)*/?", rest):
        letters = "letters, digits, '.', '_', '-' and, after the bucket, '='"
        raise Problem(f"this version cannot use {url!r} as a store: a bucket's URL has only {letters}")
    return scheme, rest


class Access(Struct, frozen=True):
    """How to reach buckets of `s3://` URLs. Empty values: the platform's defaults. Never credentials."""

    endpoint: str = ""
    region: str = ""
    allow_http: bool = False


def can_be_asked(url: str) -> bool:
    """Whether this version can read a store with this URL's scheme. A former store may have another scheme."""
    return url.partition("://")[0] in SCHEMES
