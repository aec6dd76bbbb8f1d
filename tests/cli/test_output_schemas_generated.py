"""The JSON Schemas of `--json` are what the types of the values say. Run as a program, this writes them."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from msgspec.inspect import is_struct_type

from pointsman.cli.completion import Completion
from pointsman.outcome import members
from pointsman.report import target_state
from pointsman.report.audit.value import Audit
from pointsman.report.review.value import Review
from pointsman.serving.outcomes import Synced
from pointsman.values import Shape
from pointsman.verbs import (
    adopt,
    approve,
    at,
    attest,
    check,
    config,
    demo,
    doctor,
    find,
    gc,
    get,
    hold,
    init,
    log,
    own_types,
    pr,
    publish,
    refresh,
    retire,
    rollback,
    rollout,
    seen,
    ship,
    show,
    site,
    upgrade,
    verify,
)
from pointsman.verbs import hash as hashing

FOLDER = Path(str(resources.files("pointsman"))) / "schemas" / "output"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

VALUES: dict[str, type] = {
    "adopt": adopt.Adopted,
    "approve": approve.Approved,
    "approve-list": approve.Pending,
    "at": at.InForce,
    "attest": attest.AttestedVersions,
    "audit": Audit,
    "check": check.Checked,
    "completion": Completion,
    "config": config.Config,
    "demo": demo.Told,
    "doctor": doctor.Examined,
    "find": find.Finding,
    "gc": gc.Collected,
    "get": get.Fetched,
    "hash": hashing.Hashes,
    "hold": hold.HoldChange,
    "hold-many": hold.HoldChanges,
    "init": init.Made,
    "log": log.Log,
    "pr-close": pr.Closed,
    "pr-list": pr.Listed,
    "pr-merge": pr.Merged,
    "pr-merge-many": pr.MergedMany,
    "pr-refresh": refresh.Refreshed,
    "pr-show": pr.Shown,
    "publish": publish.Published,
    "release": hold.HoldChange,
    "release-many": hold.HoldChanges,
    "review": Review,
    "retire": retire.Retired,
    "rollback": rollback.RolledBack,
    "rollout": rollout.RolledOut,
    "seen": seen.SeenInstances,
    "ship": ship.Shipped,
    "show": show.Shown,
    "site": site.Site,
    "stamp": own_types.Stamps,
    "status": target_state.Status,
    "sync": Synced,
    "type-new": own_types.NewType,
    "upgrade": upgrade.Upgraded,
    "verify": verify.Verified,
}
SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


class Schemas:
    """The schemas of types; those that have a name are gathered in `named`."""

    def __init__(self) -> None:
        self.named: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of whatever may stand as a type of a member."""
        origin, parts = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self._annotated(*parts)
        if origin is Literal:
            return {"const": parts[0]} if len(parts) == 1 else {"enum": list(parts)}
        if origin in (Union, types.UnionType):
            return self._union(parts)
        if origin is tuple and parts[-1] is not Ellipsis:
            return {"type": "array", "prefixItems": list(map(self.of, parts)), "minItems": len(parts), "items": False}
        if origin in (tuple, list, Sequence):
            return {"type": "array", "items": self.of(parts[0])}
        if origin is Mapping:
            return self._mapping(*parts)
        if isinstance(kind, NewType):
            return self.of(kind.__supertype__)
        if is_struct_type(kind):
            return self._reference(re.sub(r"(?<!^)([A-Z])", r"_\1", kind.__name__).lower(), self.object(kind))
        if is_typeddict(kind):
            tables = {name: self.of(hint) for name, hint in get_type_hints(kind).items()}
            return {"type": "object", "required": list(tables), "properties": tables}
        return {} if kind in (object, Any) else {"type": SIMPLE[kind]}

    def object(self, kind: Any) -> Schema:
        """The schema of a struct: a member that is None by default may be left out, and never is null."""
        hints = get_type_hints(kind, include_extras=True)
        optional = [name for name, default in members(kind).items() if default is None]
        found = {name: self._present(hints[name], name in optional) for name in members(kind)}
        return {
            "type": "object",
            "required": [name.removesuffix("_") for name in found if name not in optional],
            "properties": {name.removesuffix("_"): member for name, member in found.items()},
        }

    def _present(self, hint: Any, optional: bool) -> Schema:
        """The schema of a member where it is there."""
        kind, *meaning = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if optional:
            kind = Union[tuple(part for part in get_args(kind) if part is not type(None))]  # noqa: UP007
        return self._annotated(kind, *meaning)

    def _annotated(self, kind: Any, *meaning: str | Shape) -> Schema:
        schema = self.of(kind)
        for each in meaning:
            schema = {**schema, "description": each} if isinstance(each, str) else self._shaped(schema, each)
        return schema

    def _shaped(self, schema: Schema, shape: Shape) -> Schema:
        said = {"pattern": shape.pattern, "format": shape.format, "description": shape.says}
        schema = {**schema, **{key: value for key, value in said.items() if value}}
        schema |= {"minimum": shape.minimum} if shape.minimum is not None else {}
        schema |= {"maxItems": shape.most} if shape.most is not None else {}
        return self._reference(shape.name, schema) if shape.name else schema

    def _reference(self, name: str, schema: Schema) -> Schema:
        assert self.named.setdefault(name, schema) == schema, f"two types are called {name}"
        return {"$ref": f"#/$defs/{name}"}

    def _union(self, parts: Sequence[Any]) -> Schema:
        every = [self.of(part) for part in parts]
        if all(each.keys() == {"type"} for each in every):
            return {"type": [each["type"] for each in every]}
        if any("enum" in each for each in every) and all(
            each.keys() <= {"enum"} or each == {"type": "null"} for each in every
        ):
            return {"enum": [value for each in every for value in each.get("enum", [None])]}
        return {"anyOf": every}

    def _mapping(self, key: Any, value: Any) -> Schema:
        names = {"propertyNames": named} if (named := self.of(key)) != {"type": "string"} else {}
        values = self.of(value)
        return {"type": "object", **names, **({"additionalProperties": values} if values else {})}


def generated(name: str) -> str:
    """The text of the schema of one command's value."""
    schemas = Schemas()
    schema = {
        "$schema": DRAFT,
        "title": f"pointsman {name.replace('pr-', 'pr ').replace('-many', ' of many')}",
        **schemas.object(VALUES[name]),
    }
    named = {"$defs": dict(sorted(schemas.named.items()))} if schemas.named else {}
    return json.dumps(schema | named, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", VALUES)
def test_a_schema_says_what_the_type_of_its_value_says(name: str) -> None:
    text = (FOLDER / f"{name}.schema.json").read_text("utf-8")
    assert text == generated(name), f"run python {__file__}"


if __name__ == "__main__":
    for each in VALUES:
        (FOLDER / f"{each}.schema.json").write_text(generated(each), "utf-8")
