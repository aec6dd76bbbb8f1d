"""The differences between the kinds of buckets: one entry for each scheme of `state.store_url.BUCKETS`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.files import read_file
from pointsman.state.store_url import Access

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_MOST_OF_A_BUNDLE = 10_000_000  # bytes
Open = Callable[[str, Access, "ClientConfig", "RetryConfig"], "ObjectStore"]


class Scheme(Struct, frozen=True):
    """One kind of bucket."""

    credentials: str  # what to check if they are wrong, as the end of a sentence
    secrets: tuple[str, ...]  # environment variables that obstore sends as they are
    tag: Literal["version", "e_tag"]  # the part of the metadata that a conditional write names
    open: Open  # makes a client for the bucket with this name
    plain_404: bool = True  # whether a 404 without a code means "no such object", not "no store here"

    def check_environment(self) -> None:
        """Problem if a secret has characters that a request cannot carry."""
        for name in self.secrets:
            if re.search(r"[\s\x00-\x1f\x7f]", os.environ.get(name, "")):
                raise Problem(f"{name} has a space or a line break in it: take it out")

    def client(self, url: str, access: Access, options: ClientConfig) -> ObjectStore:
        """A client for the bucket in a URL. Problem if the settings or the environment do not allow to make one."""
        from obstore.exceptions import BaseError

        self.check_environment()
        name = url.partition("://")[2].partition("/")[0]
        retry: RetryConfig = {"max_retries": 0}
        if authorities := _own_authorities():
            options = {**options, "root_certificate": authorities}
        try:
            return self.open(name, access, options, retry)
        except (BaseError, ValueError) as error:
            if "Account must be specified" in str(error):
                says = "set AZURE_STORAGE_ACCOUNT_NAME: az:// URLs do not name the account"
            else:  # without the error's text, which may quote the environment
                says = f"check [store] in pointsman.toml, and {self.credentials}"
            raise Problem(f"cannot open {url}: {says}") from None


def _own_authorities() -> bytes:
    """The certificates that AWS and Python tools are told to trust besides those of the system and of SSL_CERT_FILE."""
    found = b""
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        path = os.environ.get(variable, "")
        if not path or os.path.isdir(path):  # a directory of certificates is for OpenSSL alone
            continue
        try:
            data = read_file(path, _MOST_OF_A_BUNDLE)
        except OSError as error:
            raise Problem(f"{variable} names {path}, which cannot be read: {error.strerror}") from error
        if b"-----BEGIN CERTIFICATE-----" not in data:
            raise Problem(f"{variable} names {path}, in which no certificate stands: it must be a PEM file")
        found += data + b"\n"
    return found


def _s3(name: str, access: Access, options: ClientConfig, retry: RetryConfig) -> ObjectStore:
    from obstore.store import S3Store

    more: dict[str, Any] = {"region": access.region} if access.region else {}
    if access.endpoint:  # under both names, because the second may be set in the environment and would win
        more |= {"endpoint": access.endpoint, "aws_endpoint_url_s3": access.endpoint}
        options["allow_http"] = access.allow_http
    more |= {"conditional_put": "etag", "virtual_hosted_style_request": False, "disable_bulk_delete": True}
    return S3Store(name, **more, client_options=options, retry_config=retry)


def _gs(name: str, access: Access, options: ClientConfig, retry: RetryConfig) -> ObjectStore:
    from obstore.store import GCSStore

    return GCSStore(name, client_options=options, retry_config=retry)


def _az(name: str, access: Access, options: ClientConfig, retry: RetryConfig) -> ObjectStore:
    from obstore.store import AzureStore

    return AzureStore(name, client_options=options, retry_config=retry)


SCHEMES: Mapping[str, Scheme] = {
    "s3": Scheme(
        credentials="check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or this machine's role",
        secrets=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        tag="e_tag",
        open=_s3,
        plain_404=False,
    ),
    "gs": Scheme(
        credentials="check GOOGLE_APPLICATION_CREDENTIALS, or this machine's service account",
        secrets=("GOOGLE_BEARER_TOKEN",),
        tag="version",
        open=_gs,
    ),
    "az": Scheme(
        credentials="check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or this machine's identity",
        secrets=("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
        tag="e_tag",
        open=_az,
    ),
}
