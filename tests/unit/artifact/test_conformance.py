"""The vectors that recsys-pipelines computed, and its own staged files: same bytes, same versions, same refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pointsman import artifact
from pointsman.artifact import Artifact, Reference
from pointsman.errors import Fault

HERE = Path(__file__).parents[2]
VECTORS = HERE / "conformance"
SAMPLES = sorted((HERE / "samples").glob("**/*.json"))
INDEX: dict[str, Any] = json.loads((VECTORS / "index.json").read_text())

ROWS = {
    "popularity": "items",
    "cooc": "neighbors",
    "implicit": "users",
    "content_sim": "items",
    "session_seq": "users",
}
# What the original says, and what this tool says for the same reason: rule, and words in order.
REASONS = {
    r"invalid artifact ref": ("bad-path", "the reference's"),
    r"unknown artifact type": ("schema", "unknown artifact type"),
    r"invalid \w+ artifact json": ("bad-json", ""),
    r"unsupported \w+ artifact version": ("schema", r"\$\.v: "),
    r"\w+ artifact_type mismatch": ("wrong-place", r"\$\.artifact_type: "),
    r"artifact version mismatch": ("version-mismatch", r"\$\.build\.version: .* its path or record says"),
    r"artifact key mismatch": ("wrong-place", r"\$\.(tenant|surface|segment): "),
    r"artifact window mismatch": ("wrong-place", r"\$\.window\.(start|end): "),
    r"invalid window.start": ("schema", r"\$\.window\.start: .*RFC 3339"),
    r"invalid window.end": ("schema", r"\$\.window\.end: .*RFC 3339"),
    r"invalid window": ("schema", r"\$\.window.*(after the start|counts as unset)"),
    r"(\w+ )+exceeds max": ("schema", "exceed the limit of"),
    r"(\w+ )+is empty": ("schema", r"_id: is empty"),
    r"(\w+ )+negative": ("schema", "is never negative"),
    r"\w+ version hash mismatch": ("version-mismatch", r"\$\.build\.version: .* hashes to"),
}
# Where being stricter, or knowing the place, gives the same refusal another name.
OWN_REASONS = {
    "neg-json-float-count": ("schema", r"\$\.items\[1\]\.count: .*without fraction"),
    "neg-json-exp-count": ("schema", r"\$\.items\[1\]\.count: .*without fraction"),
    "neg-json-string-count": ("schema", r"\$\.items\[1\]\.count: .*the string"),
    "neg-json-v-float": ("schema", r"\$\.v: .*without fraction"),
    "neg-json-items-object": ("schema", r"\$\.items: is an object; write a list"),
    "neg-json-top-null": ("schema", r"\$: is null"),
    "neg-json-top-array": ("schema", r"\$: is a list"),
    "neg-null-element": ("schema", r"\$\.items\[0\]: is null"),
    "neg-tampered-empty-to-missing": ("schema", '"items" is missing'),
    "neg-ref-no-segment": ("wrong-place", r"\$\.segment: "),  # a reference may go without a segment here
}
# Which vectors are read is no accident: a lenient file that stops being refused must be looked at.
READ_ALTHOUGH_LENIENT = {
    "lenient-compact-no-indent",
    "lenient-count-minus-zero",
    "lenient-keys-escaped",
    "lenient-no-segment",
    "lenient-other-key-order",
    "lenient-raw-del-and-c1",
    "lenient-scores-other-spelling",
    "lenient-string-escapes",
    "lenient-trailing-white-space",
    "lenient-white-space-id",
    "lenient-window-offset-form",
}


def each(which: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", INDEX[which], ids=lambda vector: vector["name"])


def content(vector: dict[str, Any], member: str = "file") -> bytes:
    path: str = vector[member]
    return (VECTORS / path).read_bytes()


def reference(where: dict[str, Any]) -> Reference:
    window = where["window"]
    return Reference(
        where["tenant"],
        where["surface"],
        where["segment"],
        where["type"],
        where["version"],
        window["start"],
        window["end"],
    )


def test_no_vector_is_missing() -> None:
    assert [len(INDEX[which]) for which in ("positive", "negative", "lenient")] == [162, 110, 26]
    assert len(SAMPLES) == 45


@each("positive")
def test_what_the_original_writes_has_its_bytes_and_its_version(vector: dict[str, Any]) -> None:
    read = artifact.read(content(vector), vector["file"], any_source_hash=True)
    assert isinstance(read, Artifact)
    assert read.canonical == content(vector, "canonical")
    assert read.version == read.claimed_version == vector["version"]
    assert (read.tenant, read.surface, read.segment, read.type) == tuple(
        vector[name] for name in ("tenant", "surface", "segment", "type")
    )
    assert {"start": read.window_start, "end": read.window_end} == vector["window"]
    assert (read.built_at, read.source_hash) == (vector["built_at"], vector["source_hash"])


@each("positive")
def test_what_the_original_writes_is_taken_where_it_stands(vector: dict[str, Any]) -> None:
    read = artifact.read(content(vector), vector["file"], reference=reference(vector), any_source_hash=True)
    assert isinstance(read, Artifact)


@each("positive")
def test_a_stored_blob_is_read_as_the_version_it_is_named_by(vector: dict[str, Any]) -> None:
    read = artifact.read(content(vector, "canonical"), vector["file"])
    assert isinstance(read, Artifact)
    assert (read.version, read.claimed_version, read.canonical) == (vector["version"], "", content(vector, "canonical"))


@each("negative")
def test_what_the_original_refuses_is_refused_for_the_same_reason(vector: dict[str, Any]) -> None:
    fault = artifact.read(
        content(vector), vector["file"], reference=reference(vector["ref"]), limits=vector.get("options")
    )
    assert isinstance(fault, Fault)
    message = vector["go_error"]["msg"]
    rule, words = OWN_REASONS.get(vector["name"]) or next(
        ours for theirs, ours in REASONS.items() if re.fullmatch(theirs, message)
    )
    assert (fault.path, fault.rule) == (vector["file"], rule)
    assert re.search(words, fault.says)
    assert rule != "bad-json" or re.match(r"line \d+ column \d+: |\$", fault.says)


@each("lenient")
def test_what_the_original_never_writes_is_refused_or_has_its_version(vector: dict[str, Any]) -> None:
    read = artifact.read(content(vector), vector["file"])
    if vector["name"] in READ_ALTHOUGH_LENIENT:
        assert isinstance(read, Artifact)
        assert read.version == vector["ref"]["version"]
        assert read.canonical == content(vector, "canonical")
    else:
        assert isinstance(read, Fault)
        assert read.rule in ("bad-json", "schema")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem[:12])
def test_a_staged_file_is_named_by_its_version_and_lies_where_it_says(path: Path) -> None:
    read = artifact.read(path.read_bytes(), path.name)
    assert isinstance(read, Artifact)
    assert read.version == path.stem
    days = f"{read.window_start[:10]}_{read.window_end[:10]}"
    assert path.parts[-7:-1] == ("staging", read.tenant, read.surface, read.segment, read.type, days)
    assert next(iter(read.summary.values())) == len(json.loads(path.read_text())[ROWS[read.type]])
