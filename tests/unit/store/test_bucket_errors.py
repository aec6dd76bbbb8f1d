"""What is said of an error of obstore."""

from __future__ import annotations

from pointsman.store.bucket_errors import trouble_of
from pointsman.store.schemes import SCHEMES


def test_an_error_that_nobody_knows_passes_nothing_on_of_its_text() -> None:
    trouble = trouble_of(OSError("Authorization: AWS4-HMAC-SHA256 Credential=AKIDSECRET"), SCHEMES["s3"], "b")
    assert "AKIDSECRET" not in trouble.says
