"""The JSON Schemas of what `--json` prints, read so that they must name every member."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

PACKAGE = Path(str(resources.files("pointsman")))
SCHEMAS = PACKAGE / "schemas" / "output"


def closed(schema: Any) -> Any:
    """The schema, but with no member that it does not name: clients may see more one day, documentation may not lag."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict) or _is_open(schema):
        return schema
    inner = {
        key: {name: closed(each) for name, each in value.items()} if key in ("properties", "$defs") else closed(value)
        for key, value in schema.items()
    }
    return {"additionalProperties": False, **inner} if "properties" in schema else inner


def _is_open(schema: dict[str, Any]) -> bool:
    """Whether it is of the settings, in whose tables forges and users have keys of their own."""
    return bool(schema.get("description") == "the tables of pointsman.toml")


def validate(name: str, document: Any) -> None:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    Draft202012Validator(closed(schema)).validate(document)
