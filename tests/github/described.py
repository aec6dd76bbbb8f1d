"""GitHub's official descriptions, against which each call to the stand-in and each of its answers is held.

REST: the OpenAPI description (npm @octokit/openapi). GraphQL: the public schema (npm @octokit/graphql-schema), read by
the reference implementation that comes with it. `make test` and `make test-github` install them, at pinned versions.
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # each takes most of a second to load, in every process that collects the tests
    from openapi_core import OpenAPI
    from openapi_core.testing import MockRequest

_ROOT = Path(__file__).parents[2]
_MODULES = _ROOT / ".ci" / "node_modules"
_REST = _MODULES / "@octokit" / "openapi" / "generated" / "api.github.com.json"
_GRAPHQL = _MODULES / "@octokit" / "graphql-schema" / "schema.graphql"

THERE = _REST.exists() and _GRAPHQL.exists()

_HOST = "http://github.test"
_PREFIX = "/api/v3"
_REPO = "/repos/{owner}/{repo}"
# What the adapter calls: the paths that the stand-in serves.
PATHS = (
    _REPO,
    f"{_REPO}/rules/branches/{{branch}}",
    f"{_REPO}/branches/{{branch}}",
    f"{_REPO}/codeowners/errors",
    f"{_REPO}/pulls",
    f"{_REPO}/pulls/{{pull_number}}",
    f"{_REPO}/pulls/{{pull_number}}/merge",
    f"{_REPO}/pulls/{{pull_number}}/reviews",
    f"{_REPO}/commits/{{commit_sha}}/pulls",
    f"{_REPO}/issues/{{issue_number}}/labels",
    f"{_REPO}/issues/{{issue_number}}/comments",
    f"{_REPO}/issues/comments/{{comment_id}}",
    f"{_REPO}/installation",
    f"{_REPO}/rulesets",
    f"{_REPO}/rulesets/{{ruleset_id}}",
    f"{_REPO}/actions/permissions/workflow",
    f"{_REPO}/actions/permissions/fork-pr-contributor-approval",
    f"{_REPO}/environments/{{environment_name}}",
    f"{_REPO}/environments/{{environment_name}}/deployment-branch-policies",
    f"{_REPO}/labels",
    "/app/installations/{installation_id}/access_tokens",
    "/user",
)
# No path lists them, they are described once for all ("Troubleshooting the REST API", "Rate limits for the REST API").
EVERYWHERE = frozenset({401, 403, 404})


@functools.cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_REST.read_bytes())
    document["paths"] = {path: document["paths"][path] for path in PATHS}
    document["servers"] = [{"url": f"{_HOST}{_PREFIX}"}]
    return document


@functools.cache
def _api() -> OpenAPI:
    from openapi_core import Config, OpenAPI

    # Whether the description itself is sound is not for us to say, and takes seconds.
    return OpenAPI.from_dict(_document(), config=Config(spec_validator_cls=None))  # type: ignore[arg-type]


def wrong_request(method: str, path: str, query: Mapping[str, str], body: bytes) -> str:
    """What the description has against a call; empty if nothing."""
    from openapi_core.exceptions import OpenAPIError

    try:
        _api().validate_request(_request(method, path, query, body))
    except OpenAPIError as error:
        return f"{method} {path}: {_because(error)}"
    return ""


def wrong_answer(method: str, path: str, query: Mapping[str, str], body: bytes, code: int, answer: bytes) -> str:
    """What the description has against an answer; empty if nothing."""
    from openapi_core.exceptions import OpenAPIError
    from openapi_core.testing import MockResponse

    if code in EVERYWHERE and str(code) not in _operation(method, path)["responses"]:
        told = json.loads(answer)
        return "" if isinstance(told.get("message"), str) else f"{method} {path}: {code} without a message"
    try:
        _api().validate_response(
            _request(method, path, query, body), MockResponse(answer, code, content_type="application/json")
        )
    except OpenAPIError as error:
        return f"{method} {path} answered {code}: {_because(error)}"
    return ""


def _request(method: str, path: str, query: Mapping[str, str], body: bytes) -> MockRequest:
    from openapi_core.testing import MockRequest

    kind = "application/json" if body else ""
    return MockRequest(_HOST, method.lower(), path, args=dict(query), data=body or None, content_type=kind)


def _because(error: BaseException) -> str:
    """The innermost reason, and where in the document."""
    faults = getattr(error.__cause__, "schema_errors", None) or getattr(error, "schema_errors", None)
    if faults:
        return "; ".join(f"{each.json_path}: {each.message}"[:300] for each in faults)
    return str(error.__cause__ or error)


def _operation(method: str, path: str) -> dict[str, Any]:
    parts = path.removeprefix(_PREFIX).split("/")
    for described, operations in _document()["paths"].items():
        if _matches(described.split("/"), parts):
            operation: dict[str, Any] = operations[method.lower()]
            return operation
    raise AssertionError(f"not among the calls of the adapter: {method} {path}")


def _matches(described: Sequence[str], parts: Sequence[str]) -> bool:
    return len(described) == len(parts) and all(
        one == other or one.startswith("{") for one, other in zip(described, parts, strict=True)
    )


def whole(method: str, path: str, code: int, answer: Any) -> Any:
    """An answer with all that the description requires; what the stand-in does not model is as short as may be."""
    response = _resolved(_operation(method, path)["responses"].get(str(code), {}))
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    return _filled(schema, answer) if schema is not None else answer


_ABSENT: Any = object()
_SHORTEST = {
    "date-time": "2026-01-01T00:00:00Z",
    "uri": "https://github.test/x",
    "email": "octocat@github.test",
    "uuid": "00000000-0000-0000-0000-000000000000",
}


def _filled(schema: Mapping[str, Any], value: Any = _ABSENT) -> Any:
    schema = _resolved(schema)
    for either in ("anyOf", "oneOf"):
        if either in schema:
            return _filled(schema[either][0], value)
    if value is _ABSENT and (schema.get("nullable") or "enum" in schema):
        return None if schema.get("nullable") else schema["enum"][0]
    for part in schema.get("allOf", ()):
        value = _filled(part, value)
    if value is None:
        return None
    match schema.get("type"):
        case "object" | None if schema.get("properties") and (value is _ABSENT or isinstance(value, dict)):
            given = {} if value is _ABSENT else value
            names = [*given, *(name for name in schema.get("required", ()) if name not in given)]
            described = schema["properties"]
            return {
                name: _filled(described[name], given.get(name, _ABSENT)) if name in described else given[name]
                for name in names
            }
        case "array" if isinstance(value, list):
            return [_filled(schema["items"], each) for each in value]
    if value is not _ABSENT:
        return value
    shortest: dict[Any, Any] = {"array": [], "boolean": False, "integer": 1, "number": 1, "object": {}}
    return shortest.get(schema.get("type"), _SHORTEST.get(schema.get("format", ""), "x"))


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = _document()
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        schema = found
    return schema


_CHECK = """
const { readFileSync } = require("node:fs");
const { buildSchema, parse, validate, getOperationAST, typeFromAST, coerceInputValue } = require("graphql");
const schema = buildSchema(readFileSync(process.argv[1], "utf8"), { assumeValidSDL: true }); // it has a field twice
const said = [];
for (const { query, variables } of JSON.parse(readFileSync(0, "utf8"))) {
  const document = parse(query);
  said.push(...validate(schema, document).map((error) => error.message));
  for (const each of getOperationAST(document).variableDefinitions) {
    const name = each.variable.name.value;
    coerceInputValue(variables[name], typeFromAST(schema, each.type), (path, value, error) => said.push(error.message));
  }
}
process.stdout.write(JSON.stringify(said));
"""


def wrong_graphql(calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """What GitHub's schema has against queries and their variables."""
    command = ["node", "-e", _CHECK, str(_GRAPHQL)]
    ran = subprocess.run(
        command, cwd=_ROOT / ".ci", input=json.dumps(calls), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said: list[str] = json.loads(ran.stdout)
    return said
