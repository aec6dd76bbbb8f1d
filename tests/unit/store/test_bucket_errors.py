"""What is said of an error of obstore."""

from __future__ import annotations

import pytest

from pointsman.errors import Blocked, Unreachable
from pointsman.store.base import NoConditions
from pointsman.store.bucket_errors import trouble_of
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
