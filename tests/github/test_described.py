"""The stand-in says nothing that GitHub's own descriptions do not say, and that would be noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from github import described
from github.hub import API, Hub
from github.team import SETTINGS, Team

needs_descriptions = pytest.mark.skipif(
    not described.THERE, reason="GitHub's descriptions are not installed: make test-github does it, with npm"
)


@needs_descriptions
@pytest.mark.parametrize(
    "method,path,query,body,says",
    [
        ("GET", "/pulls", {"state": "opened"}, b"", "'opened' is not one of"),
        ("POST", "/pulls", {}, b'{"title": "t", "head": "h", "base": 1}', "$.base: 1 is not of type 'string'"),
        ("POST", "/pulls", {}, b'{"title": "t", "head": "h"}', "'base' is a required property"),
        ("PUT", "/pulls/1/merge", {}, b'{"merge_method": "fast"}', "'fast' is not one of"),
        ("PATCH", "/pulls/1", {}, b'{"state": "merged"}', "'merged' is not one of"),
        ("POST", "/issues/1/comments", {}, b"{}", "'body' is a required property"),
    ],
)
def test_a_call_that_github_does_not_take_is_found(
    method: str, path: str, query: dict[str, str], body: bytes, says: str
) -> None:
    assert says in described.wrong_request(method, f"{API}{path}", query, body)


@needs_descriptions
@pytest.mark.parametrize(
    "method,path,code,answer,says",
    [
        ("GET", "/pulls", 200, [{"number": "1"}], "'1' is not of type 'integer'"),
        ("GET", "/pulls/1", 200, {"state": "merged"}, "'merged' is not one of"),
        ("GET", "/pulls/1", 200, {"merged": "no"}, "'no' is not of type 'boolean'"),
        ("PUT", "/pulls/1/merge", 200, {"sha": None}, "None is not of type 'string'"),
        ("PUT", "/pulls/1/merge", 418, {"message": "no"}, "418"),
        ("GET", "/rules/branches/main", 200, {}, "{} is not of type 'array'"),
        ("GET", "", 401, {"documentation_url": "x"}, "401 without a message"),
    ],
)
def test_an_answer_that_github_does_not_give_is_found(
    method: str, path: str, code: int, answer: Any, says: str
) -> None:
    body = b"{}" if method == "PUT" else b""
    whole = json.dumps(described.whole(method, f"{API}{path}", code, answer)).encode()
    assert says in described.wrong_answer(method, f"{API}{path}", {}, body, code, whole)


@pytest.mark.slow
@needs_descriptions
def test_what_is_asked_in_graphql_is_in_githubs_schema(team: Team, hub: Hub) -> None:
    settings = team.desk / "pointsman.toml"
    settings.write_text(settings.read_text().replace(SETTINGS, SETTINGS.replace("\n", "\nauto_merge = true\n", 1)))
    team.publish(team.day(1))
    assert hub.queries
    assert described.wrong_graphql(hub.queries) == []
    query = str(hub.queries[0]["query"])
    for spoiled in (query.replace("commitHeadline", "commitTitle"), query.replace("SQUASH", "SQUEEZE")):
        assert described.wrong_graphql([{**hub.queries[0], "query": spoiled}])
    assert described.wrong_graphql([{**hub.queries[0], "variables": {"pull": "PR_1"}}])
