"""What is said of an error of obstore."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.errors import Blocked, Problem, Unreachable
from pointsman.state.store_url import Access
from pointsman.store.base import NoConditions
from pointsman.store.bucket import Bucket
from pointsman.store.bucket_errors import Trouble, host, trouble_of
from pointsman.store.schemes import SCHEMES


def test_an_error_that_nobody_knows_passes_nothing_on_of_its_text() -> None:
    trouble = trouble_of(OSError("Authorization: AWS4-HMAC-SHA256 Credential=AKIDSECRET"), SCHEMES["s3"], "b")
    assert "AKIDSECRET" not in trouble.says


@pytest.mark.parametrize(
    "status,code,raises",
    [
        (403, "AccessDenied", Blocked),  # of a policy for a prefix
        (403, "AuthorizationPermissionMismatch", Blocked),  # the same on Azure
        (403, "InvalidObjectState", Blocked),
        (409, "BlobArchived", Blocked),
        (403, "SignatureDoesNotMatch", Unreachable),
        (403, "InvalidAccessKeyId", Unreachable),
        (403, "RequestTimeTooSkewed", Unreachable),
        (403, "AllAccessDisabled", Unreachable),
        (403, "", Unreachable),
        (401, "", Unreachable),
        (500, "InternalError", Unreachable),
        (501, "", NoConditions),
        (400, "NotImplemented", NoConditions),
    ],
)
def test_what_one_key_is_denied_is_told_from_wrong_credentials(
    status: int, code: str, raises: type[Unreachable]
) -> None:
    says = (
        f"Error performing GET http://h/b/k in 1ms - Server returned non-2xx status code: {status}: <Code>{code}</Code>"
    )
    trouble = trouble_of(OSError(says), SCHEMES["s3"], "b")
    assert trouble.raises is raises
    assert trouble.kind == ("passing" if status == 500 else "lasting")


TOLD = [  # status, code, what kind it is, what is said
    (404, "NoSuchKey", "absent", "no such object"),
    (404, "NoSuchBucket", "lasting", "there is no bucket 'b': create it"),
    (400, "NoSuchBucket", "lasting", "there is no bucket 'b': create it"),
    (404, "", "lasting", "not an object store (404 without a code): check [store] endpoint"),
    (403, "ExpiredToken", "lasting", "wrong or have expired (403 ExpiredToken): check AWS"),
    (401, "", "lasting", "wrong or have expired (401): check AWS"),
    (403, "RequestTimeTooSkewed", "lasting", "this machine's clock is wrong"),
    (403, "InvalidObjectState", "lasting", "it is archived (403 InvalidObjectState): restore it"),
    (403, "", "lasting", "no permission (403)"),
    (409, "ConditionalRequestConflict", "occupied", "reports a conflict (409 ConditionalRequestConflict)"),
    (412, "PreconditionFailed", "occupied", "nothing shows who won"),
    (501, "", "lasting", "no conditional writes"),
    (507, "", "lasting", "the store is full, or this is too large for it (507)"),
    (400, "EntityTooLarge", "lasting", "too large for it (400 EntityTooLarge): make room"),
    (429, "", "passing", "throttling requests (429)"),
    (503, "SlowDown", "passing", "throttling requests (503 SlowDown)"),
    (500, "InternalError", "passing", "internal error (500 InternalError)"),
    (408, "", "passing", "internal error (408)"),
    (400, "RequestTimeout", "passing", "internal error (400 RequestTimeout)"),
    (301, "PermanentRedirect", "lasting", "in another region (301 PermanentRedirect): set [store] region"),
    (307, "", "lasting", "in another region (307)"),
    (400, "AuthorizationHeaderMalformed", "lasting", "set [store] region"),
    (400, "InvalidArgument", "lasting", "refuses the request (400 InvalidArgument): check [store]"),
    (499, "", "lasting", "refuses the request (499)"),
]


@pytest.mark.parametrize("status,code,kind,says", TOLD)
def test_an_answer_is_told_by_what_it_means_and_by_what_helps(status: int, code: str, kind: str, says: str) -> None:
    text = f"Error performing PUT http://h:9/b/k in 1ms - non-2xx status code: {status}: <Code>{code}</Code>"
    trouble = trouble_of(OSError(text.replace("<Code></Code>", "")), SCHEMES["s3"], "b")
    assert (trouble.kind, trouble.where) == (kind, "http://h:9")
    assert says in trouble.says


def test_where_no_code_says_what_is_missing_404_means_the_object() -> None:
    text = "Error performing GET http://h/b/k in 1ms - status code: 404: "
    assert {name: trouble_of(OSError(text), SCHEMES[name], "b").kind for name in ("s3", "gs", "az")} == {
        "s3": "lasting",
        "gs": "absent" if SCHEMES["gs"].plain_404 else "lasting",
        "az": "absent" if SCHEMES["az"].plain_404 else "lasting",
    }
    assert any(scheme.plain_404 for scheme in SCHEMES.values())


BROKEN = [  # what obstore writes, what kind it is, what is said
    ("Received redirect without LOCATION, this normally indicates", "lasting", "another region: set [store] region"),
    ("HTTP error: builder error: BadScheme", "lasting", "plain http, which needs [store] endpoint with allow_http"),
    ("Reqwest { kind: ConnectionRefused }", "passing", "nothing answers there: check [store] endpoint"),
    ("Reqwest { kind: HostUnreachable }", "passing", "nothing answers there"),
    ("client error (Connect): dns error: failed to lookup", "passing", "no such host: check [store] endpoint"),
    ("invalid peer certificate: UnknownIssuer", "lasting", "no secure connection can be made"),
    ("HttpError { kind: Timeout }", "passing", "POINTSMAN_STORE_TIMEOUT=<seconds>"),
    ("operation timed out", "passing", "no answer: check [store] endpoint"),
    ("connection closed before message completed", "passing", "the connection broke off"),
]


@pytest.mark.parametrize("text,kind,says", BROKEN)
def test_where_no_answer_came_it_says_what_to_check(text: str, kind: str, says: str) -> None:
    trouble = trouble_of(OSError(f"Error performing GET https://h/b/k in 1ms - {text}"), SCHEMES["s3"], "b")
    assert (trouble.kind, trouble.where, trouble.raises) == (kind, "https://h", Unreachable)
    assert says in trouble.says


@pytest.mark.parametrize(
    "text",
    [
        "Error performing token request: Error performing GET http://h/b/token in 1ms - status code: 403: ",
        "Error performing PUT http://169.254.169.254/latest/api/token in 1ms - status code: 500: ",
    ],
)
def test_a_request_that_went_elsewhere_was_for_credentials(text: str) -> None:
    trouble = trouble_of(OSError(text), SCHEMES["s3"], "b")
    assert (trouble.kind, trouble.raises) == ("lasting", Unreachable)
    assert trouble.says.startswith("no credentials were found: check AWS")


@pytest.mark.parametrize("url,shown", [("http://u:p@h:9/b?x", "http://h:9"), ("h:9", ""), ("", "")])
def test_an_endpoint_is_shown_without_what_could_be_a_secret(url: str, shown: str) -> None:
    assert host(url) == shown


class PanicException(BaseException):
    """What pyo3 raises for a panic: it is no Exception, and its class cannot be imported."""


def test_a_panic_of_obstore_is_a_problem_and_an_interrupt_is_not() -> None:
    bucket = Bucket("s3://b", Access())

    def panics() -> None:
        raise PanicException("called `Result::unwrap()` on an `Err` value: secret")

    def interrupted() -> None:
        raise KeyboardInterrupt

    trouble = bucket._try(panics)
    assert isinstance(trouble, Trouble)
    assert trouble.kind == "lasting"
    assert trouble.says.startswith("the request cannot be made: check AWS")
    with pytest.raises(KeyboardInterrupt):
        bucket._try(interrupted)


def test_a_store_without_entity_tags_cannot_be_used() -> None:
    meta: Any = {"e_tag": None, "version": "1"}
    with pytest.raises(Unreachable, match=r"cannot use s3://b: the store gives no entity tags"):
        Bucket("s3://b", Access())._tag(meta)


def test_azure_needs_the_name_of_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(Problem, match="cannot open az://b: set AZURE_STORAGE_ACCOUNT_NAME"):
        SCHEMES["az"].client("az://b", Access(), {})
