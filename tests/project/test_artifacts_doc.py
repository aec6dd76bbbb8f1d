"""The page on artifacts: its documents are valid, there is one for each built-in type, and its layout is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pages import blocks
from shop import Shop, git

from pointsman.artifact.built_in import LAYOUTS
from pointsman.cli.main import main
from pointsman.intake.staged_tree import find_files, staged_at

PAGE = Path(__file__).parents[2] / "docs" / "artifacts.md"
DOCUMENTS = {str(json.loads(block.text)["artifact_type"]): block.text for block in blocks(PAGE, "json")}


def test_there_is_a_document_of_each_built_in_type() -> None:
    assert list(DOCUMENTS) == list(LAYOUTS)


@pytest.mark.slow
def test_the_documents_are_stamped_shipped_and_served_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(tmp_path / "shop")
    monkeypatch.setenv("POINTSMAN_REPO", str(shop.desk))
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "files")
    for name, text in DOCUMENTS.items():
        Path(f"{name}.json").write_text(text)
    for block in blocks(PAGE, "sh"):
        for line in block.text.splitlines():
            assert main(line.split()[1:]) == 0, line
    assert main(["stamp", *(f"{name}.json" for name in DOCUMENTS)]) == 0
    assert main(["publish", ".", "--merge"]) == 0
    assert set(json.loads(shop.manifest)["current"]) == set(LAYOUTS)
    assert git(shop.desk, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize("pointed", [True, False])
def test_the_layout_is_read_as_it_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str], pointed: bool) -> None:
    (layout,) = blocks(PAGE, "text")
    names: list[str] = []
    found: list[Path] = []
    for line in layout.text.splitlines():
        drawn = line.lstrip("│ ├└─")
        depth, name = (len(line) - len(drawn)) // 4, drawn.split()[0]
        del names[depth:]
        names.append(name.rstrip("/"))
        if name.endswith(".json"):
            start, end = names[-2].split("_")
            document = json.loads(DOCUMENTS["popularity"])
            document |= {"segment": "default", "window": {"start": f"{start}T00:00:00Z", "end": f"{end}T00:00:00Z"}}
            at = tmp_path.joinpath(*names[:-1])
            at.mkdir(parents=True)
            (at / "x.json").write_text(json.dumps(document))
            assert main(["stamp", str(at / "x.json")]) == 0
            version = capsys.readouterr().out.split()[0]
            found.append((at / "x.json").rename(at / f"{version}.json"))
            if pointed:
                (at / "current.version").write_text(f"{version}\n")
    assert len(found) == 2
    read = find_files([str(tmp_path / "staging")])
    assert read.files == ([(str(found[-1]),)] if pointed else [])
    assert [str(target) for target, _ in read.faults] == ([] if pointed else ["grocer/home"])
    placed = staged_at(str(found[0]))
    assert placed is not None
    assert (str(placed.target), placed.type) == ("grocer/home", "popularity")
