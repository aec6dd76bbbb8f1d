"""`upgrade`: what an earlier version wrote is replaced, what people changed stays and is shown, main stays as it is."""

from __future__ import annotations

import ast
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from shop import git

from pointsman.cli.main import main
from pointsman.cli.upgrade import render
from pointsman.errors import Problem
from pointsman.forge.generated import FIRST_MESSAGE, LOCK_PATH, Lock, generated
from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.settings import SETTINGS_PATH
from pointsman.state.objects import object_id
from pointsman.verbs.upgrade import Upgraded, upgrade
from pointsman.workspace import Workspace

TOML = b'[store]\nurl = "file:///srv/recsys"\n[forge]\nkind = "github"\n'
CHECK, SHIP, GC = (f".github/workflows/{name}.yml" for name in ("check", "ship", "gc"))
IMAGE = "deploy/Dockerfile"
GONE = "tool/pointsman/gone.py"
BRANCH = "upgrade/0.1.0"


def before() -> dict[str, bytes]:
    """What an earlier version generated: two files said less, one was not there, and one is no longer made."""
    files = generated("github", ["container"])
    for path in (CHECK, "CODEOWNERS", IMAGE):
        files[path] = b"# as it was\n" + files[path][-100:]
    del files[GC]
    return {**files, GONE: b"was = 1\n"}


class Place:
    """A manifest repository with a bare origin, as a version wrote it."""

    def __init__(self, root: Path, files: dict[str, bytes], message: str = FIRST_MESSAGE) -> None:
        self.desk, self.origin = root / "desk", root / "origin.git"
        git(root, "init", "-q", "--bare", "-b", "main", str(self.origin))
        git(root, "clone", "-q", str(self.origin), str(self.desk))
        git(self.desk, "checkout", "-q", "-b", "main")
        self.push({**files, SETTINGS_PATH: TOML}, message)

    def push(self, files: dict[str, bytes | None], message: str = "by hand\n") -> None:
        for path, data in files.items():
            file = self.desk / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if data is None:
                file.unlink()
            else:
                file.write_bytes(data)
        git(self.desk, "add", "-f", "-A")
        git(self.desk, "commit", "-q", "-F", "-", given=message)
        git(self.desk, "push", "-q", "origin", "HEAD:main")

    def upgrade(self, **more: Any) -> Outcome[Upgraded]:
        with open_repository(str(self.desk)) as repo:
            return upgrade(Workspace(repo), **more)

    def outcomes(self, **more: Any) -> dict[str, str]:
        return {file.path: file.outcome for file in self.upgrade(**more).value.files}

    def merged(self) -> None:
        git(self.desk, "fetch", "-q")
        git(self.desk, "merge", "-q", "--ff-only", f"origin/{BRANCH}")
        git(self.desk, "push", "-q", "origin", "main")


@pytest.fixture(params=["root commit", pytest.param("lock", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    files = before()
    if request.param == "lock":
        files[LOCK_PATH] = Lock.of(files).render().replace(b"0.1.0", b"0.0.9")
        return Place(tmp_path, files, "taken over\n")
    return Place(tmp_path, files)


@pytest.mark.slow
@pytest.mark.parametrize("locked", [True, False])
def test_the_login_to_a_cloud_stays(tmp_path: Path, locked: bool) -> None:
    files = generated("github", (), "gcp")
    files[CHECK] = b"# as it was\n" + files[CHECK]
    if locked:
        files[LOCK_PATH] = Lock.of(files, cloud="gcp").render()
    place = Place(tmp_path, files)
    assert place.outcomes() == {CHECK: "replaced", LOCK_PATH: "replaced" if locked else "added"}
    assert b"GOOGLE_BEARER_TOKEN" in git(place.origin, "show", f"{BRANCH}:{CHECK}").encode()
    place.merged()
    assert place.outcomes() == {}


@pytest.mark.slow
def test_files_that_nobody_changed_are_replaced_added_and_deleted_on_a_branch_and_main_stays(place: Place) -> None:
    main_before, ours = git(place.origin, "rev-parse", "main"), git(place.desk, "status", "--porcelain")
    outcome = place.upgrade()
    lock = {LOCK_PATH: "replaced" if (place.desk / LOCK_PATH).exists() else "added"}
    found = {file.path: file.outcome for file in outcome.value.files}
    assert found == {**dict.fromkeys((CHECK, "CODEOWNERS", IMAGE), "replaced"), GC: "added", GONE: "deleted", **lock}
    assert outcome.exit_code == 0
    commit = outcome.value.commit
    assert git(place.origin, "rev-parse", BRANCH) == commit
    assert git(place.origin, "rev-parse", f"{BRANCH}^") == main_before == git(place.origin, "rev-parse", "main")
    changed = git(place.origin, "diff", "--name-only", "main", BRANCH).splitlines()
    assert sorted(changed) == sorted(found)
    assert git(place.desk, "status", "--porcelain") == ours
    for path, data in generated("github", ["container"]).items():
        assert git(place.origin, "rev-parse", f"{BRANCH}:{path}") == object_id("blob", data)
    assert place.upgrade().value.commit == commit  # again: the branch stays
    place.merged()
    again = place.upgrade()
    assert (again.value.files, again.value.commit, again.exit_code) == ([], None, 0)
    assert git(place.origin, "show", f"main:{SETTINGS_PATH}").encode() + b"\n" == TOML


@pytest.mark.slow
def test_what_was_changed_by_hand_is_kept_and_both_changes_are_shown(place: Place) -> None:
    """Also a file that was deleted, and one that was changed here alone is not even spoken of."""
    here = b"# as it was\n* @acme/platform\n"
    place.push({"CODEOWNERS": here, SHIP: b"# ours\n", CHECK: None})
    outcome = place.upgrade()
    kept = {file.path: file for file in outcome.value.files if file.outcome == "kept"}
    assert sorted(kept) == [CHECK, "CODEOWNERS"]
    assert outcome.exit_code == 5
    owners = kept["CODEOWNERS"]
    assert "+* @acme/platform" in (owners.changed_here or "").splitlines()
    assert "-# as it was" in (owners.changed_there or "").splitlines()
    text = render(outcome.value)
    assert "+* @acme/platform" in text
    assert f"next: open the pull request of {BRANCH}" in text
    assert git(place.origin, "show", f"{BRANCH}:CODEOWNERS").encode() + b"\n" == here
    assert f"Kept, because it was changed here: {CHECK}" in git(place.origin, "log", "-1", "--format=%B", BRANCH)
    place.merged()
    assert place.outcomes() == {}  # said once; the new version has nothing more to change


@pytest.mark.slow
def test_diffs_are_the_files_own_lines_and_the_next_step_names_the_repository(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.push({CHECK: b"# ours\n", SETTINGS_PATH: TOML.replace(b"github", b"local")})
    monkeypatch.chdir(tmp_path)
    assert main(["-C", "desk", "upgrade"]) == 5
    said = capsys.readouterr().out
    (line,) = (each for each in generated("local")[CHECK].decode().splitlines() if "check --base" in each)
    assert f"    +{line}\n" in said
    assert f"next: git -C desk fetch origin && git -C desk push origin origin/{BRANCH}:main" in said


@pytest.mark.slow
def test_a_branch_of_ours_follows_main_and_one_with_other_changes_is_left(place: Place) -> None:
    first = place.upgrade().value.commit
    place.push({"NOTES.md": b"more\n"})
    second = place.upgrade().value.commit
    assert second != first
    assert git(place.origin, "rev-parse", f"{BRANCH}^") == git(place.origin, "rev-parse", "main")
    git(place.desk, "fetch", "-q")
    git(place.desk, "checkout", "-q", "--detach", f"origin/{BRANCH}")
    git(place.desk, "commit", "-q", "--allow-empty", "-m", "merged by hand")
    git(place.desk, "push", "-q", "origin", f"HEAD:{BRANCH}")
    theirs = git(place.origin, "rev-parse", BRANCH)
    with pytest.raises(Problem, match=r"other changes in it: merge it, or run: git push origin --delete"):
        place.upgrade()
    assert git(place.origin, "rev-parse", BRANCH) == theirs


@pytest.mark.slow
def test_a_dry_run_writes_nothing(place: Place) -> None:
    refs = git(place.origin, "for-each-ref")
    assert place.outcomes(dry_run=True)[GC] == "added"
    assert git(place.origin, "for-each-ref") == refs


@pytest.mark.slow
def test_without_a_lock_a_repository_that_init_did_not_make_loses_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path, before(), "my own repository\n")
    found = place.outcomes()
    assert found == {CHECK: "kept", "CODEOWNERS": "kept", GC: "added", LOCK_PATH: "added"}
    assert (place.desk / GONE).exists()


@pytest.mark.slow
def test_files_of_the_first_commit_that_are_somebodys_own_are_never_deleted(tmp_path: Path) -> None:
    own = {".github/workflows/mine.yml": b"on: push\n", "pipelines/train.py": b"pass\n"}
    place = Place(tmp_path, {**before(), **own})
    assert not place.outcomes().keys() & own.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    "lock, says",
    [
        (b"{", "the document ends too early"),
        (b'{"v": 2}', "not of a form that this version knows"),
        (b'{"v": 1, "version": "1", "files": {"CODEOWNERS": "x"}}', "no blob id for CODEOWNERS"),
        (b'{"v": 1, "version": "1", "files": {"manifests/a/b/manifest.json": "%s"}}' % (b"a" * 40), "no version gener"),
        (b'{"v": 1, "version": "1", "files": {"pointsman.toml": "%s"}}' % (b"a" * 40), "which no version generates"),
        (b'{"v": 1, "version": "99.0", "files": {}}', "99.0 wrote these files, and this is 0.1.0: install a newer one"),
    ],
)
def test_a_lock_that_cannot_be_used_stops_it(tmp_path: Path, lock: bytes, says: str) -> None:
    place = Place(tmp_path, {LOCK_PATH: lock})
    with pytest.raises(Problem, match=says):
        place.upgrade()
    assert git(place.origin, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.slow
def test_a_lock_that_names_the_signers_deletes_them_on_no_branch(tmp_path: Path) -> None:
    signers = b'a@example.org namespaces="pointsman-approval" ssh-ed25519 AAAA\n'
    lock = b'{"v": 1, "version": "0.0.1", "files": {"keys/signers": "%s"}}' % object_id("blob", signers).encode()
    place = Place(tmp_path, {LOCK_PATH: lock, "keys/signers": signers})
    place.push({SETTINGS_PATH: TOML + b'[audit]\nallowed_signers = "keys/signers"\n'})
    with pytest.raises(Problem, match="names keys/signers, which no version generates"):
        place.upgrade()


@pytest.mark.slow
def test_what_goes_back_goes_on_with_tables_that_a_newer_version_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = tmp_path / "shop"
    assert main(["init", str(shop)]) == 0
    settings = shop / SETTINGS_PATH
    settings.write_bytes(settings.read_bytes() + b"[carousel]\nspeed = 3\n")
    git(shop, "commit", "-qam", "newer")
    capsys.readouterr()
    assert main(["-C", str(shop), "status"]) == 2
    assert "unknown table [carousel]: a newer pointsman may know it" in capsys.readouterr().err
    for words in (
        ["hold", "all", "--until", "2h", "--now", "--reason", "why"],
        ["release", "all", "--now", "--reason", "why"],
        ["upgrade"],
    ):
        assert main(["-C", str(shop), *words]) == 0, words
        assert "going on without [carousel]" in capsys.readouterr().err
    assert main(["-C", str(shop), "--json", "rollback", "grocer/home", "--now", "--reason", "why"]) == 2
    assert "carousel" not in json.loads(capsys.readouterr().out)["problem"]


@pytest.mark.slow
def test_a_repository_of_the_first_version_with_workflows_is_brought_up_to_date(tmp_path: Path) -> None:
    """What its `init` wrote, from its code as it was, of which the demo is left out."""
    with tarfile.open(Path(__file__).parents[1] / "samples" / "first-version.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    files = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in (tmp_path / "tool").rglob("*") if path.is_file()
    }
    there = tmp_path / "tool/pointsman/templates"
    files |= {path: (there / name).read_bytes() for path, name in _old_templates(tmp_path).items()}
    (tmp_path / "there").mkdir()
    place = Place(tmp_path / "there", files)
    owners = files["CODEOWNERS"].replace(b"@example", b"@acme")
    place.push({"CODEOWNERS": owners})
    found = place.outcomes()
    assert found["CODEOWNERS"] == "kept"
    assert (found[CHECK], found[GC], found["tool/pointsman/store.py"]) == ("replaced", "added", "deleted")
    place.merged()
    assert main(["-C", str(place.desk), "check"]) == 0
    made = {path: (place.desk / path).read_bytes() for path in generated("github") if path != "CODEOWNERS"}
    assert made == {path: data for path, data in generated("github").items() if path != "CODEOWNERS"}


def _old_templates(root: Path) -> dict[str, str]:
    text = (root / "tool/pointsman/init.py").read_text()
    start = text.index("TEMPLATES = {") + len("TEMPLATES = ")
    return dict(ast.literal_eval(text[start : text.index("}\n", start) + 1]))
