"""Which URLs are stores."""

from __future__ import annotations

import pytest

from pointsman.errors import Problem
from pointsman.store.open import open_store


def test_only_absolute_paths_and_buckets_are_stores() -> None:
    for url in (
        "file://relative",
        "/srv",
        "ftp://host/x",
        "s3://",
        "s3:///x",
        "gs://b/a b",
        "az://b/%2e%2e",
        "s3://b//x",
    ):
        with pytest.raises(Problem, match="this version cannot use"):
            open_store(url)


def test_a_url_with_credentials_in_it_is_refused_and_not_repeated() -> None:
    for url in (
        "s3://AKIA:verysecret@bucket/x",
        "az://c/x?sig=verysecret",
        "gs://b#verysecret",
        "https://u:verysecret@h",
    ):
        with pytest.raises(Problem, match="credentials come from the environment") as error:
            open_store(url)
        assert "verysecret" not in str(error.value)


def test_a_budget_that_is_no_number_of_seconds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (" ", "0", "-1", "1e3", "soon"):
        monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", text)
        with pytest.raises(Problem, match="POINTSMAN_STORE_TIMEOUT is not a number of seconds above 0"):
            open_store("s3://bucket")
