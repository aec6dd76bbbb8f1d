"""The documentation site: `make docs-site` builds it, a broken link stops it, and nothing comes from another host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from runner import registry_answers

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "docs-site"
PUBLISHED = "https://shop.example/pointsman/"  # as the pages of a project are, below its name
FROM_ELSEWHERE = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//", re.I)
BLOCKS = ("h1", "h2", "h3", "ol", "ul", "li", "pre", "table", "tr")
FORGE = MarkdownIt("commonmark").enable("table")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(html: str) -> dict[str, int]:
    return {tag: len(re.findall(rf"<{tag}[ >]", html)) for tag in BLOCKS}


@pytest.mark.slow
def test_the_site_has_every_page_as_a_forge_shows_it_loads_nothing_from_elsewhere_and_has_no_broken_link(
    tmp_path: Path,
) -> None:
    at = {**os.environ, "SITE_URL": PUBLISHED}
    ran = subprocess.run(["make", "docs-site"], cwd=ROOT, env=at, capture_output=True, text=True, check=False)
    if not (ROOT / "build" / "docs-site-venv" / "installed").exists() and not registry_answers(tmp_path):
        pytest.skip("no registry of Python packages can be reached")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for page in PAGES:
        named = page.relative_to(ROOT)
        html = (SITE / (named.parent if page.name == "README.md" else named.with_suffix("")) / "index.html").read_text()
        article = html[html.index("<article") : html.index("</article>")]
        assert blocks(article) == blocks(FORGE.render(page.read_text())), (
            f"{named}: MkDocs reads this page otherwise than a forge: indent what belongs to an item by four spaces, "
            "and leave a line free before and after a list or a block of code"
        )
    its_own = f'<link rel="canonical" href="{PUBLISHED}'
    texts = {str(each): each.read_text().replace(its_own, "") for each in SITE.rglob("*.html")}
    assert not [each for each, text in texts.items() if FROM_ELSEWHERE.search(text)]
    assert f"<loc>{PUBLISHED}docs/glossary/</loc>" in (SITE / "sitemap.xml").read_text()
    lost = re.findall('(?:href|src)="(/[^"]*)"', (SITE / "404.html").read_text())
    assert lost
    assert [each for each in lost if not each.startswith("/pointsman/")] == [], "a page may be looked for anywhere"

    # The same with what is wrong.
    tops = [each.name for each in ROOT.glob("*.md")]
    for name in (".ci/docs_site.py", "mkdocs.yml", "docs", "tool/pointsman", *tops):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    page = tmp_path / "docs" / "glossary.md"
    wrong = ["../LICENCE.md", "nowhere.md", "rules.md#no-such-heading", "../tool/pointsman/templates/nowhere.yml"]
    page.write_text(page.read_text() + "".join(f"\n[this]({link})\n" for link in wrong))
    (tmp_path / "docs" / "of-no-section.md").write_text("# In no section\n")
    mkdocs = [str(ROOT / "build/docs-site-venv/bin/python"), "-m", "mkdocs", "build", "--strict"]
    broken = subprocess.run(mkdocs, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert [word for word in (*wrong, "of-no-section.md") if word not in broken.stderr] == []
    assert len(re.findall("^WARNING", broken.stderr, re.MULTILINE)) == 5, broken.stderr
