"""Schemas and documents that cost a reader much more than their size, each read in a process of its own.

Run as a program, it reads every case under a limit of processor time and of memory, and prints one JSON line for each:
its name, how its process ended, and what the reader said.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pointsman import artifact
from pointsman.artifact import user_type
from pointsman.errors import Fault, Problem
from pointsman.settings import read_settings
from pointsman.state import strict_json
from pointsman.state.documents import read_hold, read_manifest, read_record, read_tombstone

Json = dict[str, Any]
CPU_SECONDS = 30
MEMORY = 3_000_000_000
TEXT: Json = {"type": "string"}
INTEGER: Json = {"type": "integer"}
ANY: Json = {"additionalProperties": True}


def members(**schemas: Any) -> Json:
    return {"type": "object", "properties": schemas}


def chain(length: int, last: Json, link: Callable[[str], Json] = lambda to: {"$ref": to}) -> Json:
    """A schema that refers to the next one, `length` times."""
    links = {f"a{n}": link(f"#/$defs/a{n + 1}") for n in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": {**links, f"a{length}": last}}


def doubled(to: str) -> Json:
    return {"allOf": [{"$ref": to}, {"$ref": to}]}


def nested(depth: int, word: str, leaf: Any) -> Any:
    return {word: nested(depth - 1, word, leaf)} if depth else leaf


def own(body: str) -> bytes:
    head = '{"v":1,"artifact_type":"mine","tenant":"demo","surface":"home",'
    window = '"window":{"start":"2026-01-01T00:00:00Z","end":"2026-01-02T00:00:00Z"},'
    return f'{head}{window}{body}"build":{{"built_at":"","version":""}}}}'.encode()


def references(many: int) -> list[Json]:
    return [{"$ref": f"#/$defs/d{n}"} for n in range(many)]


def crossed(n: int) -> Json:
    """One of 400 schemas, each of which leads to others in its own way."""
    some = [{"$ref": f"#/$defs/d{each}"} for each in (2 * n % 400, (2 * n + 1) % 400, (n + 7) % 400)]
    return members(**{f"m{n}": {"allOf": some}, "x": {"$ref": f"#/$defs/d{(n * 17 + 3) % 400}"}})


def nest(depth: int) -> str:
    return "[" * depth + "]" * depth


def tree(depth: int) -> str:
    return '{"x":' * depth + '"y"' + "}" * depth


# name → schema and body of a document of the type
def own_types() -> Iterator[tuple[str, Any, str]]:
    loop = {"n": {"properties": {"x": doubled("#/$defs/n")}, "type": ["object", "string"]}}
    yield "30,000 references", chain(30_000, TEXT), ""
    yield "30,000 anyOf", chain(30_000, TEXT, lambda to: {"anyOf": [{"$ref": to}]}), ""
    yield "30,000 not", chain(30_000, TEXT, lambda to: {"not": {"$ref": to}}), ""
    yield "9,000 references", chain(9_000, TEXT), ""
    yield "200 anyOf", chain(190, ANY, lambda to: {"anyOf": [{"$ref": to}]}), '"a":"b",'
    yield "9,000 properties", chain(9_000, TEXT, lambda to: members(x={"$ref": to})), f"{tree(60)[1:-1]},"
    for name, many in (("within", 14), ("beyond", 190)):  # the stack of a validator
        step = chain(many, {"$ref": "#/$defs/n"}, lambda to: {"anyOf": [{"$ref": to}]})
        defs = {"n": {"type": ["object", "string"], "properties": {"x": {"$ref": step["$ref"]}}}, **step["$defs"]}
        yield f"stack {name}", {**members(x={"$ref": "#/$defs/n"}), "$defs": defs}, f"{tree(60)[1:-1]},"
    yield "doubling allOf", chain(40, ANY, doubled), '"a":"b",'
    yield "doubling not", chain(60, ANY, lambda to: {"not": doubled(to)}), '"a":"b",'
    yield "doubling if", chain(40, ANY, lambda to: {"if": {"$ref": to}, "then": {"$ref": to}}), '"a":"b",'
    yield "doubling by depth", {**members(a={"$ref": "#/$defs/n"}), "$defs": loop}, f'"a":{tree(50)},'
    both = {"items": {"$ref": "#/$defs/n"}, "contains": {"$ref": "#/$defs/n"}}
    yield "doubling contains", {**members(a={"$ref": "#/$defs/n"}), "$defs": {"n": both}}, f'"a":{nest(50)},'
    yield "dynamic reference", {
        "$dynamicAnchor": "n", **members(a={"allOf": [{"$dynamicRef": "#n"}, {"$dynamicRef": "#n"}]})
    }, f'"a":{tree(50).replace("x", "a").replace(chr(34) + "y" + chr(34), "{}")},'  # fmt: skip
    yield "backtracking pattern", members(a={**TEXT, "pattern": "^(a+)+$"}), f'"a":"{"a" * 100_000}b",'
    yield "backtracking names", members(m={"patternProperties": {"^(a+)+$": TEXT}}), f'"m":{{"{"a" * 100_000}b":"x"}},'
    yield "huge repeat", members(a={**TEXT, "pattern": "^((((a{1,99}){1,99}){1,99}){1,99})$"}), ""
    yield "long pattern", members(a={**TEXT, "pattern": "(a|b)" * 100_000}), ""
    yield "nested pattern", members(a={**TEXT, "pattern": "(" * 50_000 + ")" * 50_000}), ""
    yield "pattern of a long text", members(a={**TEXT, "pattern": "(x+x+)+y"}), f'"a":"{"x" * 9_000_000}",'
    yield "many patterns of a long text", members(
        a={"allOf": [{"type": "string", "pattern": f"x{n}.*y"} for n in range(5000)]}
    ), f'"a":"{"x" * 3_000_000}",'  # fmt: skip
    yield "many patterns of many names", members(
        m={"patternProperties": {f"^x{n}": TEXT for n in range(3000)}}
    ), '"m":{' + ",".join(f'"y{n}":""' for n in range(100_000)) + "},"  # fmt: skip
    yield "many schemas of many values", members(
        a={"items": {"allOf": [{"maxLength": n} for n in range(9, 5000)]}}
    ), '"a":[' + ",".join(['"x"'] * 300_000) + "],"  # fmt: skip
    yield (
        "giant enum",
        members(a={"items": {"enum": [f"e{n}" for n in range(100_000)]}}),
        ('"a":[' + ",".join(['"z"'] * 100_000) + "],"),
    )
    yield "giant const", members(a={"items": {"const": "x" * 1_000_000}}), '"a":[' + ",".join(['"z"'] * 100_000) + "],"
    yield "unique of many", members(a={"items": INTEGER, "uniqueItems": True}), f'"a":{list(range(1_000_000))},'
    yield (
        "unique of many objects",
        members(a={"items": ANY, "uniqueItems": True}),
        ('"a":[' + ",".join(f'{{"k":"{n}"}}' for n in range(200_000)) + "],"),
    )
    yield "contains in many", members(
        a={"items": {"items": TEXT, "contains": {"enum": [f"e{n}" for n in range(1000)]}}}
    ), '"a":[' + ",".join([json.dumps(["z"] * 1000)] * 1000) + "],"  # fmt: skip
    yield (
        "names of many",
        members(m={**ANY, "propertyNames": {"enum": [f"e{n}" for n in range(10_000)]}}),
        ('"m":{' + ",".join(f'"y{n}":""' for n in range(100_000)) + "},"),
    )
    yield "huge bound", members(a={"type": "number", "multipleOf": 1e-300}), '"a":1e300,'
    yield "huge multiple", members(a={"type": "integer", "multipleOf": 10**300}), '"a":7,'
    yield "long number", members(a={"type": "number"}), f'"a":{"9" * 3_000_000},'
    yield "long bound", '{"maximum":' + "9" * 3_000_000 + "}", ""
    yield "deep schema", "[" * 3_900_000, ""
    yield "deep not", nested(60, "not", {}), ""
    yield "schema of brackets", '{"enum":[' + "[]," * 1_000_000 + "[]]}", ""
    yield "many schemas", members(**{f"p{n}": TEXT for n in range(100_000)}), ""
    yield "many names", members(**{f"p{n}": TEXT for n in range(19_000)}), '"p18":"x",'
    yield "many required", {**ANY, "required": [f"p{n}" for n in range(200_000)]}, '"p18":"x",'
    yield "many places", {"$defs": {f"d{n}": crossed(n) for n in range(400)}, "allOf": references(400)}, ""
    wide = {f"p{n}": {"anyOf": references(100)} for n in range(150)}
    yield "many names of a place", {"properties": wide, "$defs": {f"d{n}": {"maxLength": n} for n in range(100)}}, ""
    yield "long id", {"$id": "http://a/" + "../" * 300_000, "$ref": "../" * 300_000}, ""
    yield "many ids", {"$defs": {f"d{n}": {"$id": "x" * 200 + "/", "$ref": "y"} for n in range(5000)}}, ""
    yield "many objections", {"definitions": {f"d{n}": {f"requiree{n}": 1} for n in range(9_000)}}, ""
    yield "document of brackets", members(a=True), '"a":' + "[" * 30_000_000
    yield "document of lists", members(a=True), '"a":[' + "[]," * 10_000_000 + "[]],"
    yield "document of maps", members(a=True), '"a":[' + "{}," * 10_000_000 + "{}],"
    yield "list of lists", members(a={"items": {"items": TEXT}}), '"a":[' + "[]," * 2_000_000 + "[]],"


def readings() -> Iterator[tuple[str, Callable[[], object]]]:
    """Every case: its name, and what reads it."""
    for name, schema, body in own_types():
        text = schema if isinstance(schema, str) else json.dumps(schema)
        yield f"type: {name}", lambda text=text, body=body: of_type(text.encode(), own(body))  # type: ignore[misc]
    for name, data in {
        "brackets": b"[" * 16_000_000,
        "lists": b"[" + b"[]," * 5_000_000 + b"[]]",
        "names": b'{"a":{' + b",".join(b'"k%d":1' % n for n in range(1_000_000)) + b"}}",
        "digits": b'{"v":' + b"9" * 16_000_000 + b"}",
        "text": b'{"tenant":"' + b"x" * 16_000_000 + b'"}',
        "escapes": b'{"tenant":"' + b"\\ud800" * 2_000_000 + b'"}',
        "one at the end": b'{"current":{' + b",".join(b'"k%d":"x"' % n for n in range(90_000)) + b',"y":1}}',
        "flaws": b"[" + b"NaN," * 1_000_000 + b"1]",
    }.items():
        for reader in (read_manifest, read_record, read_hold, read_tombstone, strict_json.read_exactly):
            yield f"{reader.__name__}: {name}", lambda reader=reader, data=data: reader(data, "x")  # type: ignore[misc]
    for name, toml in {
        "deep list": "a = " + "[" * 900_000,
        "deep table": "a = " + "{a=" * 300_000,
        "dotted key": ".".join(["a"] * 450_000) + " = 1",
        "quoted key": ".".join(['"a"'] * 200_000) + " = 1",
        "dotted table": "[" + " . ".join(["a"] * 200_000) + "]",
        "long parts": "[" + ".".join(["a" * 100] * 9_000) + "]",
        "many tables": "".join(f"[{'a.' * 60}b{n}]\n" for n in range(7_000)),
        "many keys": "".join(f"{'a.' * 60}b{n} = 1\n" for n in range(6_000)),
        "long number": "a = " + "9" * 900_000,
        "many lines": "# x\n" * 240_000,
        "too large": "#" * 30_000_000,
    }.items():
        yield f"settings: {name}", lambda toml=toml: read_settings(toml.encode())  # type: ignore[misc]


def of_type(schema: bytes, document: bytes) -> object:
    mine = user_type.load("mine", schema, "mine.schema.json")
    return mine if isinstance(mine, Fault) else artifact.read(document, "some.json", types={"mine": mine})


def outcome(read: Callable[[], object]) -> str:
    try:
        found = read()
    except Problem as problem:
        return f"problem: {problem}"
    faults = found if isinstance(found, list) else [found]
    first = faults[0] if faults else None
    return f"fault {first.rule}: {first.says}" if isinstance(first, Fault) else "read"


def main(wanted: str = "") -> None:
    for name, read in readings():
        if wanted not in name:
            continue
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            said = outcome(read)
            used = resource.getrusage(resource.RUSAGE_SELF)
            os.write(writer, json.dumps([said[:20_000], used.ru_utime + used.ru_stime, used.ru_maxrss]).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            text = answer.read()
        _, status = os.waitpid(child, 0)
        says, cpu, size = json.loads(text) if text else ("", 0, 0)
        line = {"name": name, "exit": os.waitstatus_to_exitcode(status), "says": says, "cpu": cpu, "kB": size}
        sys.stdout.write(f"{json.dumps(line)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
