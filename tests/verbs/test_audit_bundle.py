"""The archive of an audit: who has nothing else comes to the same answer, with Pointsman or with git and ssh-keygen."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Kept, Shop, git
from signers import ATTESTS, approval, key_of, signer

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.files import NO_LINKS
from pointsman.repo.open import open_repository
from pointsman.trust import bundle
from pointsman.verbs import approve, attest, audit
from pointsman.workspace import Workspace

SETTINGS = """[audit]
allowed_signers = "keys/allowed signers"
[evidence.offline-eval]
types = ["popularity"]
where = { decision = "ship" }
[policy]
approvals = 2
kept_low = false
size_jump = false
window_regressed = false
"""
MANIFEST = GROCER.manifest_path
VOWS = ("Manifest:", "Supersedes:", "Record:", "Drop:", "Accept:")
TOOLS = ("git", "ssh-keygen", "sh", "tar", "base64", "cat", "cmp", "cut", "grep", "head", "sed", "sha256sum", "sort",
         "tail", "test", "tr")  # fmt: skip


def run(shop: Shop, verb: Callable[..., Any], *words: Any, **more: Any) -> Any:
    with shop.open() as repo:
        return verb(Workspace(repo), *words, **more)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    def proven(root: Path) -> Shop:
        shop = Shop(root)
        text = (shop.desk / "pointsman.toml").read_text().partition("[policy]")[0]
        (shop.desk / "pointsman.toml").write_text(text + SETTINGS)
        (shop.desk / "keys").mkdir()
        may = f'namespaces="{ATTESTS}"'
        lines = [*map(signer, ("ann", "ben")), signer("eval", options=may)]
        (shop.desk / "keys" / "allowed signers").write_text("".join(lines))
        shop.push("who signs")
        shop.publish(day=1)
        found = root / "found.json"
        found.write_text('{"decision": "ship"}')
        run(shop, attest.attest, attest.Request(("grocer/home",), "offline-eval", str(found), key=str(key_of("eval"))))
        for name in ("ann", "ben"):
            run(shop, approve.approve, "grocer/home", str(key_of(name)))
        shop.merge()
        assert run(shop, audit.audit, bundle=str(root / "main.tar")).exit_code == 0
        return shop

    return Kept(tmp_path_factory.mktemp("bundles"), proven)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


@pytest.fixture
def archive(shop: Shop) -> Path:
    return shop.root / "main.tar"


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]


def packed(place: Path, files: dict[str, bytes], **changes: Any) -> Path:
    """A tar of these files; `changes`: of the last one's header."""
    with tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if name == [*files][-1]:
                for key, value in changes.items():
                    setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return place


@pytest.mark.slow
def test_whoever_has_the_archive_alone_gets_the_same_answer(
    shop: Shop, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = run(shop, audit.audit)
    for gone in (shop.origin, shop.desk, shop.store):
        shutil.rmtree(gone)
    monkeypatch.chdir(shop.root)
    assert main(["audit", "--verify-bundle", archive.name, "--json"]) == 0
    said = capsys.readouterr()
    here_alone = ("claims", "repository")
    assert json.loads(said.out) == {name: each for name, each in mine.document.items() if name not in here_alone}
    assert f"compare its commit, {mine.document['main']}" in said.err


@pytest.mark.slow
def test_the_archive_of_a_main_that_broke_a_rule_says_so(shop: Shop, archive: Path) -> None:
    archive.unlink()
    shop.pull()
    git(shop.desk, "rm", "-q", "-r", "approvals")
    shop.push("nobody agreed")
    assert run(shop, audit.audit, bundle=str(archive)).exit_code == 1
    told = audit.verify_bundle(str(archive))
    assert told.exit_code == 1
    assert {each["rule"] for each in told.document["faults"]} == {"record-changed"}


def followed(archive: Path, where: Path) -> str:
    """What a shell that has only git, ssh-keygen and the usual small tools says to the commands of the README."""
    where.mkdir()
    tools = where / "tools"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    environment = {"PATH": str(tools), "HOME": str(where)}
    subprocess.run(["tar", "-xf", str(archive)], cwd=where, env=environment, check=True)
    commands = re.findall(r"^ {4}(.*)$", (where / "README.md").read_text(), re.MULTILINE)
    script = "\n".join(commands)
    ran = subprocess.run(["sh", "-c", script], cwd=where, env=environment, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.returncode == 0
    return ran.stdout


@pytest.mark.slow
def test_its_readme_proves_the_same_with_git_and_ssh_keygen_alone(shop: Shop, archive: Path) -> None:
    said = followed(archive, shop.root / "there")
    assert f"main is {shop.main}\n" in said
    assert "who signs" in said
    records = git(shop.origin, "log", "-1", "--format=%B", "main").count("Record: ")
    for who, what, times in (("ann", "approval", 1), ("ben", "approval", 1), ("eval", "evidence", records)):
        assert said.count(f'  Good "pointsman-{what}" signature for {who}@example.org') == times > 0
    assert said.count("  Good") == 2 + records
    assert '"decision":' in said
    assert "NOT" not in said


@pytest.mark.slow
def test_its_readme_shows_who_approved_another_signer_and_counts_no_pattern(shop: Shop, archive: Path) -> None:
    archive.unlink()
    shop.pull()
    git(shop.desk, "checkout", "-q", "-b", "more")
    path = shop.desk / "keys" / "allowed signers"
    pattern = f'*@example.org namespaces="pointsman-approval" {key_of("eve").with_suffix(".pub").read_text()}'
    path.write_text(signer("cat") + pattern + path.read_text())
    git(shop.desk, "commit", "-q", "-a", "-m", "more signers")
    for name in ("ann", "ben"):
        run(shop, approve.approve, "more", str(key_of(name)))
    git(shop.desk, "checkout", "-q", "main")
    shop.pull()
    git(shop.desk, "merge", "-q", "--squash", "more")
    shop.push("more signers")
    shop.publish(day=2)
    head = git(shop.origin, "for-each-ref", "--format=%(objectname)", "refs/heads/ship")
    lines = git(shop.origin, "log", "-1", "--format=%B", head).splitlines()
    eves, data = approval([line for line in lines if line.split(" ")[0] in VOWS], "eve")
    shop.pull()
    (shop.desk / eves).write_bytes(data)
    shop.push("approve")
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "cherry-pick", head)
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert run(shop, audit.audit, bundle=str(archive)).exit_code == 1
    said = followed(archive, shop.root / "there")
    _, _, after = said.rpartition(" more signers\n")
    settings, _, ship = after.partition(" ship: ")
    assert sorted(re.findall(r"signature for (\S+) with", settings)) == ["ann@example.org", "ben@example.org"]
    assert f"  NOT GOOD: {eves}\n" in ship


@pytest.mark.slow
@pytest.mark.parametrize("form", ["sha1", "sha256"])
@pytest.mark.parametrize("how", ["--depth=1", "--filter=blob:none", "--filter=tree:0"])
def test_a_clone_that_has_not_all_is_deepened_first_whatever_names_its_objects(
    tmp_path: Path, form: str, how: str
) -> None:
    origin, desk, clone = tmp_path / "origin.git", tmp_path / "desk", tmp_path / "clone"
    git(tmp_path, "init", "-q", "--bare", f"--object-format={form}", "-b", "main", str(origin))
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "init", "-q", f"--object-format={form}", "-b", "main", str(desk))
    for text in ("", "[policy]\n", "[policy]\nkept_low = false\n"):
        (desk / "pointsman.toml").write_text(f'[store]\nurl = "file://{tmp_path}/store"\n{text}')
        git(desk, "add", "-A")
        git(desk, "commit", "-q", "-m", "settings")
    git(desk, "push", "-q", str(origin), "main")
    git(tmp_path, "clone", "-q", "--no-checkout", how, f"file://{origin}", str(clone))
    with open_repository(str(clone)) as repo:
        assert audit.audit(Workspace(repo), bundle=str(tmp_path / "main.tar")).exit_code == 0
    told = audit.verify_bundle(str(tmp_path / "main.tar"))
    assert (told.exit_code, told.value.commits) == (0, 3)
    assert git(desk, "rev-parse", "main") in followed(tmp_path / "main.tar", tmp_path / "there")


@pytest.mark.slow
def test_a_shallow_clone_without_an_origin_is_refused_in_a_sentence(shop: Shop) -> None:
    git(shop.root, "clone", "-q", "--bare", "--depth=1", f"file://{shop.origin}", "alone.git")
    git(shop.root / "alone.git", "remote", "remove", "origin")
    with (
        open_repository(str(shop.root / "alone.git")) as repo,
        pytest.raises(Problem, match="shallow and has no origin to fetch from: use a full clone"),
    ):
        audit.audit(Workspace(repo), bundle=str(shop.root / "alone.tar"))
    assert not (shop.root / "alone.tar").exists()


@pytest.mark.slow
def test_a_few_kilobytes_that_unpack_to_far_more_are_refused(shop: Shop, archive: Path) -> None:
    path, readme = shop.desk / MANIFEST, members(archive)["README.md"]
    shop.pull()
    with path.open("wb") as file:
        file.truncate((1 << 27) + 1)
    git(shop.desk, "commit", "-q", "-a", "-m", "long")
    tip = git(shop.desk, "rev-parse", "HEAD")
    pack = subprocess.run(
        ["git", "pack-objects", "-q", "--revs", "--stdout"], cwd=shop.desk, input=f"{tip}\n".encode(),
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    bundle = f"# v2 git bundle\n{tip} refs/heads/main\n\n".encode() + pack
    place = packed(shop.root / "odd.tar", {"README.md": readme, "main.bundle": bundle})
    assert place.stat().st_size < 1 << 19
    assert "an object in it has more than 134217728 bytes" in refused(place)


@pytest.mark.slow
def test_its_readme_finds_a_signature_that_is_wrong(shop: Shop, archive: Path) -> None:
    archive.unlink()
    shop.pull()
    path = next((shop.desk / "approvals").iterdir())
    document = json.loads(path.read_text())
    other = next(each for each in (shop.desk / "approvals").iterdir() if each != path)
    document["signature"] = json.loads(other.read_text())["signature"].replace("A", "B", 1)
    path.write_text(json.dumps(document, indent=2) + "\n")
    git(shop.desk, "commit", "-q", "-a", "--amend", "--no-edit")
    # a main in which the ship stands on a forged approval
    before = git(shop.desk, "rev-parse", "origin/main~1")
    git(shop.desk, "checkout", "-q", "-b", "forged", before)
    path.write_text(json.dumps(document, indent=2) + "\n")
    git(shop.desk, "commit", "-q", "-a", "-m", "forged")
    git(shop.desk, "cherry-pick", "origin/main")
    git(shop.desk, "push", "-q", "-f", "origin", "HEAD:main")
    run(shop, audit.audit, bundle=str(archive))
    assert f"  NOT GOOD: approvals/{path.name}\n" in followed(archive, shop.root / "there")


@pytest.mark.slow
def test_an_archive_replaces_nothing_and_leaves_nothing_half_written(shop: Shop, archive: Path) -> None:
    was, names = archive.read_bytes(), sorted(shop.root.iterdir())
    with pytest.raises(Problem, match="is there already"):
        run(shop, audit.audit, bundle=str(archive))
    with pytest.raises(Problem, match="there is no directory"):
        run(shop, audit.audit, bundle=str(shop.root / "none" / "main.tar"))
    assert (archive.read_bytes(), sorted(shop.root.iterdir())) == (was, names)


@pytest.mark.slow
def test_an_archive_is_made_where_its_name_says_wherever_the_repository_is(
    shop: Shop, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.unlink()
    monkeypatch.chdir(shop.root)
    assert main(["-C", "desk", "audit", "--bundle", archive.name]) == 0
    assert audit.verify_bundle(archive.name).exit_code == 0
    assert not list(shop.root.glob(".pointsman-*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(NO_LINKS))
def test_an_archive_is_made_where_there_are_no_hard_links(
    shop: Shop, archive: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pointsman.trust.bundle.os.link", refuses)
    place = shop.root / "copy.tar"
    run(shop, audit.audit, bundle=str(place))
    assert members(place).keys() == members(archive).keys()
    place.write_text("somebody's")
    with pytest.raises(FileExistsError):
        bundle._put(archive, place)
    assert (place.read_text(), archive.exists()) == ("somebody's", True)


@pytest.mark.slow
def test_the_same_main_gives_the_same_files(shop: Shop, archive: Path) -> None:
    run(shop, audit.audit, bundle=str(shop.root / "again.tar"))
    assert members(shop.root / "again.tar").keys() == members(archive).keys() == {"README.md", "main.bundle"}
    with tarfile.open(archive) as tar:
        assert {(each.mtime, each.uid, each.uname, each.mode) for each in tar} == {(0, 0, "", 0o644)}


def refused(place: Path) -> str:
    with pytest.raises(Problem) as told:
        audit.verify_bundle(str(place))
    says = str(told.value)
    assert "\n" not in says
    return says


@pytest.mark.slow
def test_archives_that_were_made_by_somebody_else_are_refused_in_a_sentence(shop: Shop, archive: Path) -> None:
    files, place = members(archive), shop.root / "odd.tar"
    readme, bundle = files["README.md"], files["main.bundle"]
    names = sorted(shop.root.iterdir())
    odd: list[tuple[dict[str, bytes], dict[str, Any], str]] = [
        ({"../README.md": readme, "main.bundle": bundle}, {}, r"plain file README\.md"),
        ({"README.md": readme, "/etc/main.bundle": bundle}, {}, r"plain file main\.bundle"),
        ({"README.md": readme, "main.bundle": b""}, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "plain file"),
        ({"README.md": readme, "main.bundle": b""}, {"type": tarfile.LNKTYPE, "linkname": "README.md"}, "plain file"),
        ({"README.md": readme, "main.bundle": b""}, {"type": tarfile.CHRTYPE}, "plain file"),
        ({"README.md": readme, "main.bundle": b""}, {"type": tarfile.GNUTYPE_SPARSE}, "plain file"),
        ({"README.md": b"", "x": b""}, {"type": tarfile.XHDTYPE}, "plain file"),
        ({"README.md": readme}, {}, "no file main.bundle"),
        ({**files, "more": b""}, {}, "something follows"),
        ({"README.md": bytes((1 << 20) + 1), "main.bundle": bundle}, {}, "more than 1048576 bytes"),
        ({"README.md": readme, "main.bundle": b"# v2 git bundle\n"}, {}, "refs/heads/main alone and whole"),
        ({"README.md": readme, "main.bundle": bundle.replace(b"heads/main", b"heads/else", 1)}, {}, "alone and whole"),
        (
            {"README.md": readme, "main.bundle": bundle.replace(b"\n", b"\n-" + b"1" * 40 + b"\n", 1)},
            {},
            "alone and whole",
        ),
        ({"README.md": readme, "main.bundle": bundle[:-30]}, {}, "git does not take"),
        ({"README.md": readme, "main.bundle": bundle[:-400] + bytes(400)}, {}, "git does not take"),
    ]
    for content, changes, says in odd:
        assert re.search(says, refused(packed(place, content, **changes))), (says, [*content], changes)
        place.unlink()
    assert sorted(shop.root.iterdir()) == names


@pytest.mark.slow
def test_an_archive_that_lies_about_its_size_or_ends_early_is_refused(shop: Shop, archive: Path) -> None:
    whole, place = archive.read_bytes(), shop.root / "odd.tar"
    for size in (0, 100, 600, len(whole) // 2):
        place.write_bytes(whole[:size])
        assert "is no archive of" in refused(place)
    info = tarfile.TarInfo("README.md")
    for size in (1 << 40, -1):
        info.size = size
        place.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        assert "bytes" in refused(place)
    place.write_bytes(b"\x1f\x8b" + whole)
    assert "is no archive of" in refused(place)


@pytest.mark.slow
def test_what_is_no_file_is_refused(shop: Shop) -> None:
    assert "cannot read the archive" in refused(shop.root / "none.tar")
    assert "a directory stands there" in refused(shop.root)
