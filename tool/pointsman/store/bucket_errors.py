"""What an error of obstore means, in a sentence that says what to check.

Only numbers, codes and the host are taken from the error's text. The text may quote what was signed, so it must not
get into a log.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from pointsman.errors import Blocked, Unreachable
from pointsman.store.base import NoConditions
from pointsman.store.schemes import Scheme
from pointsman.web import OWN_CA, through

Kind = Literal["absent", "occupied", "passing", "lasting"]
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_NO_OBJECT = {"NoSuchKey", "BlobNotFound", "ResourceNotFound", "NoSuchVersion"}
_WRONG_CREDENTIALS = {
    "AuthenticationFailed", "ExpiredToken", "InvalidAccessKeyId", "InvalidSecurity", "InvalidToken", "NotSignedUp",
    "SignatureDoesNotMatch", "TokenRefreshRequired", "AuthenticationRequired",
}  # fmt: skip
_ARCHIVED = {"InvalidObjectState", "BlobArchived"}
# What a policy for each prefix, or the state of one object, answers. Other keys of the bucket may be reached.
_OF_ONE_KEY = {"AccessDenied", "AuthorizationPermissionMismatch", *_ARCHIVED}
_THROTTLED = {"SlowDown", "TooManyRequests", "ThrottlingException", "RequestLimitExceeded", "ServerBusy", "Throttling"}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "EntityTooLarge"}
_REGION = "the bucket is in another region"
_WRONG_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}


class Trouble(Struct, frozen=True):
    """What went wrong with one request.

    `absent`: there is no such object. `occupied`: the store says that a condition did not hold. `passing`: asking again
    may help, and the request may have been carried out. `lasting`: asking again would not help.
    """

    says: str  # why, and what to check
    kind: Kind
    where: str = ""  # the endpoint that was asked
    raises: type[Unreachable] = Unreachable


def trouble_of(error: BaseException, scheme: Scheme, bucket: str) -> Trouble:
    """What went wrong with a request to `bucket`, from the error that obstore raised."""
    text = str(error)
    asked = re.search(r"Error performing \w+ (https?://\S+) in ", text)
    where = host(asked[1]) if asked else ""
    # A request that did not go to the bucket was for credentials, for example to a metadata service.
    if "Error performing token request" in text or (asked is not None and f"/{bucket}" not in asked[1]):
        return Trouble(f"no credentials were found: {scheme.credentials}", "lasting")
    found = re.search(r"\bstatus(?: code)?: (\d{3})\b", text)
    if found is None:
        return Trouble(*_broken(text), where + through(where))
    status = int(found[1])
    named = re.search(r"<Code>(\w{1,64})</Code>", text)
    code = named[1] if named else ""
    says, kind = _refused(status, code, scheme, bucket)
    unable = status == 501 or code == "NotImplemented"
    raises = NoConditions if unable else Blocked if code in _OF_ONE_KEY else Unreachable
    return Trouble(says, kind, where + through(where) if status >= 500 else where, raises)


def _refused(status: int, code: str, scheme: Scheme, bucket: str) -> tuple[str, Kind]:
    answer = f"{status} {code}".rstrip()
    if code in _NO_BUCKET:
        return f"there is no bucket {bucket!r}: create it, or correct the URL in pointsman.toml", "lasting"
    if status == 404 and (code in _NO_OBJECT or scheme.plain_404):
        return "there is no such object", "absent"
    if code in _WRONG_CREDENTIALS or status == 401:
        return f"the credentials are wrong or have expired ({answer}): {scheme.credentials}", "lasting"
    if code == "RequestTimeTooSkewed":
        return (
            f"this machine's clock is wrong, so the store refuses its signatures ({answer}): set the clock",
            "lasting",
        )
    if code in _ARCHIVED:
        return f"it is archived ({answer}): restore it, or move it to a class of storage that can be read", "lasting"
    if status == 403:
        may = "read, list and write objects there, and to delete them where gc or sync --prune does"
        return f"no permission ({answer}): the credentials must allow to {may}", "lasting"
    if status in (409, 412):
        return f"the store reports a conflict ({answer}) and nothing shows who won: run the command again", "occupied"
    if status == 501 or code == "NotImplemented":
        says = f"the store cannot do what is asked ({answer}). If it was a write, it has no conditional writes"
        more = "(If-None-Match, If-Match): use a newer version of it, another gateway to it, or another store"
        return f"{says} {more}", "lasting"
    if status == 507 or code in _FULL:
        return f"the store is full, or this is too large for it ({answer}): make room and run again", "lasting"
    if status == 429 or code in _THROTTLED:
        return f"the store is throttling requests ({answer}): run the command again later", "passing"
    if status >= 500 or status == 408 or code == "RequestTimeout":
        return f"the store has an internal error ({answer}): look at the store, then run again", "passing"
    if status in (301, 307) or code in _WRONG_REGION:
        return f"{_REGION} ({answer}): set [store] region in pointsman.toml", "lasting"
    if status == 404:
        return "the server there is not an object store (404 without a code): check [store] endpoint", "lasting"
    return f"the store refuses the request ({answer}): check [store] in pointsman.toml", "lasting"


def _broken(text: str) -> tuple[str, Kind]:
    if "redirect without LOCATION" in text or "BareRedirect" in text:
        return f"{_REGION}: set [store] region in pointsman.toml", "lasting"
    if "BadScheme" in text:
        return "the URL is plain http, which needs [store] endpoint with allow_http = true", "lasting"
    if re.search(r"kind: (ConnectionRefused|NetworkUnreachable|HostUnreachable)", text):
        return "nothing answers there: check [store] endpoint, the network, and that the store is running", "passing"
    if "dns error" in text:
        return "no such host: check [store] endpoint and the network", "passing"
    if re.search(r"InvalidCertificate|InvalidContentType|UnknownIssuer|NotValidForName", text):
        return (
            f"no secure connection can be made: check [store] endpoint, its certificate and https; {OWN_CA}",
            "lasting",
        )
    if re.search(r"kind: Timeout|TimedOut|timed out", text):
        more = "POINTSMAN_STORE_TIMEOUT=<seconds> gives it more time"
        return f"no answer: check [store] endpoint, the network, and that the store is running; {more}", "passing"
    return "the connection broke off: check the network and the store, then run again", "passing"


def host(url: str) -> str:
    """Scheme, host and port of a URL: enough to name an endpoint, and nothing that could be a secret."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}" if split.netloc else ""
