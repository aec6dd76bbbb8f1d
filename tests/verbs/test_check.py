"""Every rule is broken once, alone where that can be, and its nearest innocent neighbour passes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shop import GROCER, Shop, cooc, git, popularity

from pointsman.cli import check as check_command
from pointsman.cli.main import main
from pointsman.rules.evidence import Checkpoint
from pointsman.rules.table import BY_NAME
from pointsman.state.documents import later_moment, moment
from pointsman.verbs import check
from pointsman.workspace import Workspace


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop that shipped day 1 and day 2 of the real samples."""
    shop = Shop(tmp_path_factory.mktemp("kept") / "shop")
    for day in (1, 2):
        shop.publish(day=day, merge=True)
    shop.pull()
    git(shop.desk, "fetch", "-q", "origin")
    return shop


@pytest.fixture
def shop(kept: Shop) -> Iterator[Shop]:
    yield kept
    git(kept.desk, "reset", "-q", "--hard", "origin/main")
    git(kept.desk, "clean", "-q", "-fdx")


def write(shop: Shop, path: str, content: str | bytes) -> None:
    file = shop.desk / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def record(shop: Shop, slot: str = "popularity") -> Path:
    return sorted((shop.desk / "registry" / "grocer" / "home" / slot).glob("*.json"))[0]


def edited(shop: Shop, path: Path | str, old: str, new: str) -> None:
    file = shop.desk / path
    text, count = re.subn(old, new, file.read_text(), count=1)
    assert count == 1
    file.write_text(text)


def copied(shop: Shop, path: str, change: Callable[[dict[str, object]], None] = lambda document: None) -> None:
    """A new record file made of an old one."""
    document = json.loads(record(shop).read_text())
    change(document)
    write(shop, path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


NEW = "a" * 64
PLACE = f"registry/grocer/home/popularity/{NEW}.json"


def fit(**members: object) -> Callable[[dict[str, object]], None]:
    """Make a copied record fit PLACE, but for `members`."""

    def change(document: dict[str, object]) -> None:
        uri = str(document["uri"]).rpartition("/")[0] + f"/{NEW}.json"
        document.update({"version": NEW, "uri": uri, **members})

    return change


def a_state_file_elsewhere(shop: Shop) -> None:
    write(shop, "manifests/grocer/home/extra.json", "{}")


def a_reserved_name(shop: Shop) -> None:
    copied(shop, f"registry/grocer/home/x.lock/{NEW}.json", fit())


def a_symlink(shop: Shop) -> None:
    path = shop.desk / "manifests" / "grocer" / "web" / "manifest.json"
    path.parent.mkdir()
    os.symlink("../home/manifest.json", path)


def an_executable(shop: Shop) -> None:
    copied(shop, PLACE, fit())
    (shop.desk / PLACE).chmod(0o755)


def a_state_root_that_is_a_link(shop: Shop) -> None:
    os.symlink("registry", shop.desk / "holds")


def state_and_code(shop: Shop) -> None:
    copied(shop, PLACE, fit())
    write(shop, "tool/x.py", "pass")


def state_and_schema(shop: Shop) -> None:
    copied(shop, PLACE, fit())
    write(shop, "registry/schemas/bundles.schema.json", '{"type": "object", "properties": {"n": {"type": "integer"}}}')


def a_huge_record(shop: Shop) -> None:
    copied(shop, PLACE, fit(built_at="x" * 70000))


def a_duplicate_key(shop: Shop) -> None:
    copied(shop, PLACE, fit())
    edited(shop, PLACE, '"v": 1,', '"v": 1, "v": 1,')


def a_folded_duplicate_key(shop: Shop) -> None:
    copied(shop, PLACE, fit())
    edited(shop, PLACE, '"version":', '"ver\u017fion": "x", "version":')


def an_unknown_member(shop: Shop) -> None:
    copied(shop, PLACE, fit(extra=1))


def an_artifact_schema_that_unites_number_and_integer(shop: Shop) -> None:
    write(shop, "registry/schemas/bundles.schema.json", '{"properties": {"n": {"type": ["integer", "number"]}}}')


def a_record_of_another_version(shop: Shop) -> None:
    copied(shop, PLACE)


def another_bucket(shop: Shop) -> None:
    copied(shop, PLACE, fit(uri=f"file:///elsewhere/{NEW}.json"))


def a_changed_record(shop: Shop) -> None:
    edited(shop, record(shop), '"run": ""', '"run": "x"')


def a_deleted_record(shop: Shop) -> None:
    record(shop).unlink()


def a_hand_edit(shop: Shop) -> None:
    edited(shop, GROCER.manifest_path, '"updated_at": "....', '"updated_at": "2031')


def an_edit_that_points_to_nothing_recorded(shop: Shop) -> None:
    edited(shop, GROCER.manifest_path, r"popularity/[0-9a-f]{64}", f"popularity/{NEW}")


def a_removed_manifest(shop: Shop) -> None:
    (shop.desk / GROCER.manifest_path).unlink()


ATTACKS = [
    ({"bad-path"}, a_state_file_elsewhere),
    ({"bad-path"}, a_reserved_name),
    ({"not-a-plain-file"}, a_symlink),
    ({"not-a-plain-file"}, an_executable),
    ({"not-a-plain-file"}, a_state_root_that_is_a_link),
    ({"mixed-change"}, state_and_code),
    ({"mixed-change"}, state_and_schema),
    ({"too-large", "schema"}, a_huge_record),
    ({"bad-json"}, a_duplicate_key),
    ({"bad-json"}, a_folded_duplicate_key),
    ({"schema"}, an_unknown_member),
    ({"schema"}, an_artifact_schema_that_unites_number_and_integer),
    ({"wrong-place"}, a_record_of_another_version),
    ({"foreign-uri"}, another_bucket),
    ({"record-changed"}, a_changed_record),
    ({"record-changed"}, a_deleted_record),
    ({"unvouched-manifest"}, a_hand_edit),
    ({"unvouched-manifest", "record-not-landed"}, an_edit_that_points_to_nothing_recorded),
    ({"manifest-removed"}, a_removed_manifest),
]


@pytest.mark.slow
@pytest.mark.parametrize("rules,attack", ATTACKS, ids=[attack.__name__ for _, attack in ATTACKS])
def test_an_attack_is_stopped_by_its_rule_at_every_gate_that_holds_it(
    shop: Shop, rules: set[str], attack: Callable[[Shop], None]
) -> None:
    attack(shop)
    git(shop.desk, "add", "-A", "-f")
    # Where a blob must be looked at, a record that invents one breaks blob-missing as well: here we ask for the rest.
    staged = {rule for rule in rules if Checkpoint.STAGED in BY_NAME[rule].at}
    assert set(shop.check(staged=True)) == staged
    git(shop.desk, "commit", "-q", "-m", "innocent words")
    assert set(shop.check("origin/main", "HEAD", offline=True)) == rules


def test_the_innocent_neighbours_pass(shop: Shop) -> None:
    write(shop, "manifests/README.md", "# hello\n")
    write(shop, "registry/README.md", "# hello\n")
    write(shop, "notes.md", "# hello\n")
    shop_commit(shop)
    write(shop, "registry/schemas/bundles.schema.json", '{"properties": {"n": {"type": "integer"}}}')
    shop_commit(shop)
    edited(shop, "pointsman.toml", r"\Z", "[limits]\nstate_file_bytes = 60000\n")
    shop_commit(shop)


def shop_commit(shop: Shop) -> None:
    git(shop.desk, "add", "-A")
    assert shop.check(staged=True) == []
    git(shop.desk, "commit", "-q", "-m", "an innocent change")
    assert shop.check("HEAD~1", "HEAD") == []


def test_a_record_whose_blob_is_there_passes_and_one_without_is_missing(shop: Shop) -> None:
    copied(shop, PLACE, fit())
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "record")
    assert shop.check("origin/main", "HEAD") == ["blob-missing"]
    size = json.loads((shop.desk / PLACE).read_text())["size"]
    blob = shop.store / "grocer" / "home" / "popularity" / f"{NEW}.json"
    blob.write_bytes(b"x" * size)
    assert shop.check("origin/main", "HEAD") == []
    blob.unlink()


def test_a_missing_and_an_altered_blob_stop_a_restore(shop: Shop) -> None:
    git(shop.desk, "revert", "--no-edit", "HEAD")
    uri = json.loads((shop.desk / GROCER.manifest_path).read_text())["current"]["popularity"]
    blob = Path(uri.removeprefix("file://"))
    content = blob.read_bytes()
    assert shop.check("origin/main", "HEAD") == []
    blob.write_bytes(content.replace(b"groc", b"crog", 1))
    assert shop.check("origin/main", "HEAD") == ["blob-altered"]
    assert shop.check() == ["blob-altered"]
    blob.unlink()
    assert shop.check("origin/main", "HEAD") == ["blob-missing"]
    assert shop.check("origin/main", "HEAD", offline=True) == []
    blob.write_bytes(content)


def test_only_the_changes_own_lines_accept_and_only_what_may_be_accepted(shop: Shop) -> None:
    a_hand_edit(shop)
    git(shop.desk, "commit", "-q", "-a", "-m", "x\n\nAccept: grocer/home unvouched-manifest because I say so")
    assert shop.check("origin/main", "HEAD") == ["unvouched-manifest"]
    git(shop.desk, "reset", "-q", "--hard", "origin/main")
    a_removed_manifest(shop)
    git(shop.desk, "commit", "-q", "-a", "-m", "x\n\nAccept: grocer/homes manifest-removed wrong target")
    assert shop.check("origin/main", "HEAD") == ["manifest-removed"]


def test_gates_read_the_settings_of_the_base_never_those_of_the_change(shop: Shop) -> None:
    copied(shop, PLACE, fit(uri=f"file:///evil/grocer/home/popularity/{NEW}.json"))
    write(shop, "pointsman.toml", '[store]\nurl = "file:///evil"\n')
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "move the store along")
    assert "foreign-uri" in shop.check("origin/main", "HEAD", offline=True)


def test_replace_refs_and_a_tag_named_like_a_branch_fool_nobody(shop: Shop) -> None:
    honest = git(shop.desk, "rev-parse", "HEAD")
    a_hand_edit(shop)
    git(shop.desk, "commit", "-q", "-a", "-m", "edit")
    evil = git(shop.desk, "rev-parse", "HEAD")
    git(shop.desk, "replace", evil, honest)
    git(shop.desk, "branch", "-q", "candidate", evil)
    git(shop.desk, "tag", "candidate", honest)
    try:
        assert shop.check("origin/main", "candidate") == ["unvouched-manifest"]
    finally:
        git(shop.desk, "replace", "-d", evil)
        git(shop.desk, "tag", "-d", "candidate")
        git(shop.desk, "branch", "-q", "-D", "candidate")


def test_attributes_that_hide_a_change_from_diff_do_not_hide_it_from_check(shop: Shop) -> None:
    write(shop, ".gitattributes", "manifests/** -diff binary export-ignore\n")
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "attributes")
    a_hand_edit(shop)
    git(shop.desk, "commit", "-q", "-a", "-m", "edit")
    assert shop.check("HEAD~1", "HEAD") == ["unvouched-manifest"]


def test_all_faults_are_told_not_the_first(shop: Shop) -> None:
    a_hand_edit(shop)
    a_changed_record(shop)
    a_state_file_elsewhere(shop)
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "x")
    assert {"unvouched-manifest", "record-changed", "bad-path", "mixed-change"} <= set(
        shop.check("origin/main", "HEAD")
    )


@pytest.mark.slow
def test_a_ship_of_many_targets_is_judged_in_a_checkout_by_the_same_rules(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", '[forge]\nkind = "local"\ngroup = "run"\n')
    shop.publish(popularity(tmp_path / "first.json", 10), merge=True)
    for night in (1, 2):
        shop.publish(*(popularity(tmp_path / f"{n}.json", 10 + night, tenant=f"t{n}", day=night) for n in range(20)))
        (pull,) = shop.pulls()
        git(shop.desk, "fetch", "-q", "origin")
        git(shop.desk, "switch", "-q", "--detach", f"origin/{pull['branch']}")
        assert shop.check(base="origin/main") == []
        write(shop, "manifests/Grocer/home/manifest.json", shop.manifest)
        git(shop.desk, "add", "-A")
        git(shop.desk, "commit", "-q", "-m", "a twin")
        assert "case-collision" in shop.check(base="origin/main")
        shop.merge(pull["id"])
        git(shop.desk, "fetch", "-q", "origin")
        assert shop.check(head="origin/main") == []
    edited(shop, "manifests/t7/home/manifest.json", '"updated_at": "2', '"updated_at": "3')
    git(shop.desk, "commit", "-q", "-a", "-m", "by hand")
    assert "unvouched-manifest" in shop.check(), "of the whole tree, too"


@pytest.mark.slow
def test_a_type_rollback_that_claims_a_version_the_slot_never_had_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    for count in (10, 11):
        shop.publish(
            popularity(tmp_path / f"p{count}.json", count), cooc(tmp_path / f"c{count}.json", count), merge=True
        )
    shop.publish(popularity(tmp_path / "never.json", 12))
    branch = shop.pulls()[0]["branch"]
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", "-B", "mine", f"origin/{branch}")
    said = git(shop.desk, "log", "-1", "--format=%B")
    git(shop.desk, "commit", "-q", "--amend", "-m", said.replace("Record: ", "Restores: "))
    assert shop.check("origin/main", "mine") == ["unvouched-manifest"]


@pytest.mark.slow
def test_holds_stop_ships_until_they_expire_by_the_commit_s_clock_and_let_restores_pass(shop: Shop) -> None:
    until = datetime.now(UTC) - timedelta(hours=1)
    document = {"v": 1, "target": "grocer/home", "until": moment(until), "reason": "wait"}
    write(shop, "holds/grocer/home.json", json.dumps(document, indent=2) + "\n")
    git(shop.desk, "add", "-A")
    assert shop.check(staged=True) == []
    git(shop.desk, "commit", "-q", "-m", "hold")
    assert shop.check("origin/main", "HEAD") == []
    held = git(shop.desk, "rev-parse", "HEAD")
    ship_again(shop)
    assert shop.check(held, "HEAD") == []
    dated(shop, until - timedelta(minutes=1))
    assert shop.check(held, "HEAD") == ["on-hold"]
    dated(shop, until + timedelta(seconds=1))
    assert shop.check(held, "HEAD") == []
    git(shop.desk, "reset", "-q", "--hard", held)
    git(shop.desk, "revert", "--no-edit", "HEAD~1")
    assert shop.check(held, "HEAD") == []


def test_a_commit_dated_ahead_does_not_walk_past_a_hold(shop: Shop) -> None:
    until = datetime.now(UTC) + timedelta(days=2)
    document = {"v": 1, "target": "grocer/home", "until": moment(until), "reason": "wait"}
    write(shop, "holds/grocer/home.json", json.dumps(document, indent=2) + "\n")
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "hold")
    held = git(shop.desk, "rev-parse", "HEAD")
    ship_again(shop)
    for ahead in (until + timedelta(days=1), until + timedelta(days=9999)):
        dated(shop, ahead)
        assert shop.check(held, "HEAD") == ["on-hold"]


def dated(shop: Shop, when: datetime) -> None:
    """The last commit of the desk, made at another time."""
    git(shop.desk, "commit", "-q", "--amend", "--no-edit", env={"GIT_COMMITTER_DATE": when.isoformat()})


def ship_again(shop: Shop) -> None:
    """The manifest once more with a later moment, vouched for."""
    path = shop.desk / GROCER.manifest_path
    last = git(shop.desk, "log", "-1", "--format=%H", "--", GROCER.manifest_path)
    manifest = json.loads(path.read_text())
    manifest["updated_at"] = later_moment(datetime.now(UTC), manifest["updated_at"])
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    message = f"ship\n\nManifest: grocer/home sha256:{sha256}\nSupersedes: grocer/home {last}"
    git(shop.desk, "commit", "-qam", message)


@pytest.mark.parametrize(
    "content",
    ["{}", '{"v": 1, "target": "grocer/home", "until": "2031-13-01T00:00:00Z", "reason": "x"}', "\ufeff{}"],
)
def test_a_hold_that_cannot_be_read_binds(shop: Shop, content: str) -> None:
    write(shop, "holds/all.json", content)
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "half a hold")
    assert shop.check("origin/main", "HEAD")[0] in ("bad-json", "schema")
    held = git(shop.desk, "rev-parse", "HEAD")
    ship_again(shop)
    assert shop.check(held, "HEAD") == ["on-hold"]


def test_faults_are_told_to_github_on_their_lines_and_nothing_in_them_is_markup(shop: Shop, tmp_path: Path) -> None:
    path = "registry/grocer/home/x%,:\n::warning::y/<b>|`.json"
    write(shop, path, "{}")
    edited(shop, GROCER.manifest_path, r"\d{6}Z", "999999Z")
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "hostile")
    with shop.open() as repo:
        found = check.check(Workspace(repo), base="origin/main", head="HEAD").value
    hand, bad = found.faults
    assert (hand.rule, hand.line) == ("unvouched-manifest", len(shop.manifest.splitlines()) - 1)
    lines = check_command.github(found).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(
        "::error file=registry/grocer/home/x%25%2C%3A%0A%3A%3Awarning%3A%3Ay/<b>|`.json,line=1,title=bad-path::"
    )
    assert bad.path == path
    cells = check_command.summary(found)
    assert "<b>" not in cells
    assert "|`" not in cells
    assert all(line.startswith(("|", "**", "")) for line in cells.splitlines())
    assert len(check_command.render(found).splitlines()) == 3


def test_the_summary_of_a_job_is_written_where_github_wants_it_and_accepted_faults_stand_first(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    git(shop.desk, "commit", "-q", "-m", "gone\n\nAccept: grocer/home manifest-removed the shop closed")
    (shop.desk / "registry/README").write_text("x")
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "and more")
    words = ["-C", str(shop.desk), "check", "--base", "origin/main", "--head", "HEAD", "--format", "github"]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "::notice file=manifests/grocer/home/manifest.json,line=1,title=manifest-removed::" in out
    assert "would have nothing (accepted: the shop closed)" in out, "without the advice to accept it"
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    assert [row.split(" ")[1] for row in rows[1:]] == ["accepted", "refused"]
    assert main([*words, "--json"]) == 2


def test_settings_may_not_be_removed_nor_become_unreadable(shop: Shop) -> None:
    git(shop.desk, "rm", "-q", "pointsman.toml")
    git(shop.desk, "commit", "-q", "-m", "no settings")
    assert shop.check("origin/main", "HEAD") == ["schema"]


@pytest.fixture
def behind(shop: Shop) -> Iterator[str]:
    """A clone that was not pulled: its branch main lacks the last commit. What main of the origin is."""
    git(shop.desk, "reset", "-q", "--hard", "origin/main~1")
    git(shop.desk, "update-ref", "-d", "refs/remotes/origin/main")
    yield shop.main
    git(shop.desk, "fetch", "-q", "origin")


@pytest.mark.slow
def test_check_says_which_commit_it_judged_and_that_main_has_more(
    shop: Shop, behind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here = git(shop.desk, "rev-parse", "HEAD")
    desk = ("-C", str(shop.desk))
    assert main([*desk, "check"]) == 0
    out, err = capsys.readouterr()
    assert out == f"no faults at {here[:12]}\n"
    assert f"main of the origin is at {behind[:12]}, which this checkout does not have: run git " in err
    assert main([*desk, "check", "--offline"]) == 0
    assert capsys.readouterr().err == ""
    git(shop.desk, "reset", "-q", "--hard", behind)
    assert main([*desk, "check"]) == 0
    assert capsys.readouterr() == (f"no faults at {behind[:12]}\n", "")
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "more than main")
    assert main([*desk, "check"]) == 0
    assert capsys.readouterr().err == ""
    shop.origin.rename(shop.root / "away")
    assert main([*desk, "check"]) == 0
    assert "is not known: cannot read origin" in capsys.readouterr().err
    (shop.root / "away").rename(shop.origin)


@pytest.mark.parametrize(
    "words",
    [
        ("check", "--base", "main~2", "--head", "main"),
        pytest.param(("check", "--base", "main", "--head", "main"), marks=pytest.mark.slow),
        pytest.param(("review", "--base", "main~1", "--head", "main"), marks=pytest.mark.slow),
        pytest.param(("review", "grocer/home", "--head", "main"), marks=pytest.mark.slow),
        pytest.param(("at", "main", "grocer/home"), marks=pytest.mark.slow),
        pytest.param(("log", "--explain", "main"), marks=pytest.mark.slow),
        pytest.param(("rollback", "grocer/home", "--to", "main"), marks=pytest.mark.slow),
    ],
)
def test_main_means_that_of_the_origin_in_every_command(
    shop: Shop, behind: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert main(["-C", str(shop.desk), "--json", *words]) in (0, 1)
    out, err = capsys.readouterr()
    if words[0] == "rollback":
        assert json.loads(out)["targets"][0]["outcome"] == "unchanged"
        return
    assert behind in out
    if words[0] in ("check", "review"):
        assert f"main means that of the origin, {behind[:12]}; the branch main of this clone is at" in err
        assert "write refs/heads/main for that one" in err


def test_a_repository_that_is_its_own_origin_has_one_main(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(shop.origin), "check", "--head", "main"]) == 0
    assert capsys.readouterr() == (f"no faults at {shop.main[:12]}\n", "")


def test_a_blob_that_is_altered_between_two_judgements_of_one_process_is_seen(shop: Shop) -> None:
    blob = Path(json.loads(shop.manifest)["current"]["cooc"].removeprefix("file://"))
    data = blob.read_bytes()
    with shop.open() as repo:
        repo.refresh()
        base, gate = repo.resolve("main~1"), Workspace(repo).gate
        assert gate.judge_change(base, repo.main).faults == ()
        blob.chmod(0o600)
        blob.write_bytes(data.replace(b'"', b"'", 1))
        assert {fault.rule for fault in gate.judge_change(base, repo.main).faults} == {"blob-altered"}
    blob.write_bytes(data)


@pytest.mark.slow
def test_a_record_that_is_cut_off_is_told_as_that_and_its_revert_puts_all_right(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.pull()
    for record in (shop.desk / "registry" / "grocer" / "home" / "cooc").iterdir():
        record.write_text("")
    shop.push("trick")
    with shop.open() as repo:
        faults = check.check(Workspace(repo), base=None, head="origin/main").document["faults"]
    [says] = [fault["says"] for fault in faults if fault["rule"] == "record-not-landed"]
    assert says.startswith("what stands for the record of cooc ef91235eb522 cannot be read")
    git(shop.desk, "revert", "--no-edit", "HEAD")
    shop.push()
    assert shop.check(head="origin/main") == []
