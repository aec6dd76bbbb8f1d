"""Signatures: real keys, real ssh-keygen, real git; only who signs, when, and what was done to the commit differs."""

from __future__ import annotations

import html
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from clocks import clock_at
from output_schemas import validate
from shop import GROCER, Kept, Shop, git, popularity

from pointsman.errors import Problem
from pointsman.report.audit import html as audit_html
from pointsman.report.audit import markdown, terminal
from pointsman.settings import read_settings
from pointsman.verbs import audit
from pointsman.workspace import Workspace

NAMES = ("ann", "ben", "eve", *(f"no{number}" for number in range(10)))
SIGNERS = "security/allowed_signers"
POLICY = f'[audit]\nallowed_signers = "{SIGNERS}"\nsigned = ["manifests/", "holds/"]\n'
NOON = "2031-03-10T12:00:00Z"  # when every commit of these tests is made, unless it says otherwise
NOW = 1930953600  # noon of the day after


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("keys")
    for name in NAMES:
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(root / name)]
        subprocess.run(words, check=True, capture_output=True)
    return root


def signer(keys: Path, name: str, options: str = "") -> str:
    return f"{name}@example.org {options}{' ' if options else ''}{(keys / f'{name}.pub').read_text()}"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Kept:
    def under_policy(root: Path) -> Shop:
        shop = Shop(root)
        shop.publish(day=1, merge=True)
        shop.pull()
        put(shop, SIGNERS, "# who may\n" + signer(keys, "ann"))
        text = (shop.desk / "pointsman.toml").read_text()
        put(shop, "pointsman.toml", text + POLICY)
        at(shop, "now they must sign")
        return shop

    return Kept(tmp_path_factory.mktemp("signed"), under_policy)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def put(shop: Shop, path: str, text: str) -> None:
    (shop.desk / path).parent.mkdir(parents=True, exist_ok=True)
    (shop.desk / path).write_text(text)


def at(shop: Shop, message: str, *, key: Path | None = None, when: str = NOON) -> str:
    """All that the desk has as one commit of main, signed with `key`."""
    sign = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "-c", "commit.gpgsign=true"] if key else []
    git(shop.desk, "add", "-A")
    git(shop.desk, *sign, "commit", "-q", "--allow-empty", "-m", message, env={"GIT_COMMITTER_DATE": when})
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    return git(shop.desk, "rev-parse", "HEAD")


def hold(shop: Shop, *, key: Path | None = None, when: str = NOON, reason: str = "stocktaking") -> str:
    """A commit that must be signed and breaks no other rule."""
    text = (
        f'{{\n  "v": 1,\n  "target": "grocer/home",\n  "until": "2031-01-01T00:00:00Z",\n  "reason": "{reason}"\n}}\n'
    )
    put(shop, GROCER.hold_path, text)
    return at(shop, "hold", key=key, when=when)


def unsigned(shop: Shop, clock: int = NOW) -> dict[str, str]:
    """Commit → what is said of it, for every fault of the audit."""
    with shop.open() as repo:
        faults = audit.audit(Workspace(repo, clock=clock_at(clock))).document["faults"]
    assert {fault["rule"] for fault in faults} <= {"unsigned"}
    return {fault["commit"]: f"{fault['path']} {fault['says']}" for fault in faults}


@pytest.mark.slow
def test_whoever_the_file_names_may_sign_and_nobody_else(shop: Shop, keys: Path) -> None:
    hold(shop, key=keys / "ann")
    assert unsigned(shop) == {}
    bare = hold(shop, reason="no hand")
    foreign = hold(shop, key=keys / "eve", reason="another hand")
    found = unsigned(shop)
    assert set(found) == {bare, foreign}
    assert found[bare].startswith(f"{GROCER.hold_path} must be signed")
    assert "has no signature" in found[bare]
    fingerprint = subprocess.run(["ssh-keygen", "-lf", keys / "eve.pub"], capture_output=True, text=True, check=True)
    assert fingerprint.stdout.split()[1] in found[foreign]


@pytest.mark.slow
def test_what_came_before_the_policy_and_what_it_does_not_name_needs_no_signature(shop: Shop, tmp_path: Path) -> None:
    assert unsigned(shop) == {}
    put(shop, "README.md", "words\n")
    at(shop, "words")
    with shop.open() as repo:
        before = len(audit.audit(Workspace(repo, clock=clock_at(NOW))).document["faults"])
    shop.publish(popularity(tmp_path / "p.json", 10, surface="search"))  # lands a record, which need not be signed
    assert (before, unsigned(shop)) == (0, {})


@pytest.mark.slow
def test_a_key_counts_for_what_and_as_long_as_the_file_says(
    shop: Shop, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    cases = [
        ('valid-before="20310310120001"', NOON, True),
        ('valid-before="20310310115959"', NOON, False),
        ('valid-after="20310310115959"', NOON, True),
        ('valid-after="20310310120001"', NOON, False),
        ('valid-before="20310310120001"', "2031-03-10T22:00:00+10:00", True),
        ('valid-before="20310310115959"', "2031-03-10T02:00:00-10:00", False),
        ('valid-after="20310310115959Z"', NOON, True),
        ('valid-before="20310310115959Z"', NOON, False),
        ('namespaces="git"', NOON, True),
        ('namespaces="file"', NOON, False),
    ]
    lines = [signer(keys, f"no{number}", options) for number, (options, _, _) in enumerate(cases)]
    put(shop, SIGNERS, "".join([signer(keys, "ann"), *lines]))
    at(shop, "more", key=keys / "ann")
    made = [
        hold(shop, key=keys / f"no{number}", when=when, reason=f"{number}") for number, (_, when, _) in enumerate(cases)
    ]
    found = unsigned(shop)
    assert [commit not in found for commit in made] == [good for _, _, good in cases]


@pytest.mark.slow
def test_an_expired_key_cannot_date_back_behind_what_main_has(shop: Shop, keys: Path) -> None:
    put(shop, SIGNERS, signer(keys, "ann") + signer(keys, "ben", 'valid-before="20310310130000"'))
    at(shop, "one more", key=keys / "ann")
    hold(shop, key=keys / "ann", when="2031-03-10T14:00:00Z")
    back = hold(shop, key=keys / "ben", reason="dated back")
    assert set(unsigned(shop)) == {back}


@pytest.mark.slow
def test_a_clock_in_the_future_is_held_back_to_now(shop: Shop, keys: Path) -> None:
    put(shop, SIGNERS, signer(keys, "ann") + signer(keys, "ben", 'valid-before="20320101"'))
    at(shop, "one more", key=keys / "ann")
    hold(shop, key=keys / "ann", when="2099-01-01T00:00:00Z")
    good = hold(shop, key=keys / "ben", reason="by a right clock")
    assert unsigned(shop) == {}
    assert set(unsigned(shop, clock=1 << 31)) == {good}  # in 2038 nobody can tell any more when that was


def rewritten(shop: Shop, change: Callable[[bytes], bytes]) -> str:
    """main's last commit with other bytes."""
    words = ["git", "cat-file", "commit", "HEAD"]
    content = change(subprocess.run(words, cwd=shop.desk, check=True, capture_output=True).stdout)
    words = ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    made = subprocess.run(words, cwd=shop.desk, check=True, capture_output=True, input=content).stdout.decode().strip()
    git(shop.desk, "reset", "-q", "--hard", made)
    git(shop.desk, "push", "-q", "--force", "origin", "HEAD:main")
    return made


def twice(content: bytes) -> bytes:
    """The signature once more, below a copy of itself."""
    head = content[content.index(b"gpgsig") : content.index(b"\n\n") + 1]
    return content.replace(head, head + head, 1)


@pytest.mark.slow
def test_a_commit_that_is_another_than_was_signed_is_found(shop: Shop, keys: Path) -> None:
    changes: list[tuple[Callable[[bytes], bytes], str]] = [
        (lambda content: content.replace(b"\nhold", b"\nhold it"), "does not fit the commit"),
        (lambda content: content.replace(b"author Ann", b"author Eve"), "does not fit the commit"),
        (
            lambda content: content.replace(b"BEGIN SSH", b"BEGIN PGP").replace(b"END SSH", b"END PGP"),
            "an OpenPGP signature",
        ),
        (lambda content: content.replace(b"-----BEGIN SSH SIGNATURE-----", b"-----"), "of another kind"),
        (lambda content: content.replace(b"gpgsig ", b"gpgsig-sha256 "), "has no signature"),
        (lambda content: content.replace(b"\n U1NIU0lH", b"\n U1NI\x80\xffU0lH"), "does not fit the commit"),
        (twice, "2 signatures"),
    ]
    says = {}
    for number, (change, why) in enumerate(changes):
        hold(shop, key=keys / "ann", reason=f"{number}")
        says[rewritten(shop, change)] = why
    found = unsigned(shop)
    assert set(found) == set(says)
    assert [why for commit, why in says.items() if why not in found[commit]] == []


def test_a_signature_for_the_other_hash_beside_the_real_one_spoils_nothing(shop: Shop, keys: Path) -> None:
    hold(shop, key=keys / "ann")
    other = b"gpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n"
    made = rewritten(shop, lambda content: content.replace(b"gpgsig ", other + b"gpgsig ", 1))
    assert unsigned(shop) == {}
    assert subprocess.run(["git", "-c", f"gpg.ssh.allowedSignersFile={shop.desk / SIGNERS}", "verify-commit", made],
                          cwd=shop.desk, check=False, capture_output=True).returncode == 0  # fmt: skip


def test_nobody_lets_themselves_in(shop: Shop, keys: Path) -> None:
    put(shop, SIGNERS, signer(keys, "ann") + signer(keys, "eve"))
    in_by_herself = at(shop, "and me", key=keys / "eve")
    found = unsigned(shop)
    assert set(found) == {in_by_herself}
    assert found[in_by_herself].startswith(SIGNERS)
    assert "was not allowed to before" in found[in_by_herself]


@pytest.mark.slow
def test_nobody_switches_the_policy_off_unseen(shop: Shop) -> None:
    text = (shop.desk / "pointsman.toml").read_text()
    put(shop, "pointsman.toml", text.replace("size_jump = false", "size_jump = { grow = 20 }"))
    at(shop, "another limit")
    assert unsigned(shop) == {}
    put(shop, "pointsman.toml", text.replace(POLICY, ""))
    off = at(shop, "no more of that")
    hold(shop)
    found = unsigned(shop)
    assert set(found) == {off}
    assert found[off].startswith("pointsman.toml")


@pytest.mark.slow
def test_a_key_that_is_taken_out_of_the_file_counts_no_more_not_even_for_the_past(shop: Shop, keys: Path) -> None:
    put(shop, SIGNERS, signer(keys, "ann") + signer(keys, "ben"))
    at(shop, "and Ben", key=keys / "ann")
    his = hold(shop, key=keys / "ben")
    assert unsigned(shop) == {}
    put(shop, SIGNERS, signer(keys, "ann"))
    at(shop, "Ben's laptop was stolen", key=keys / "ann")
    assert set(unsigned(shop)) == {his}


@pytest.mark.slow
def test_where_main_has_dropped_the_file_what_had_to_be_signed_is_told(shop: Shop, keys: Path) -> None:
    signed = hold(shop, key=keys / "ann")
    text = (shop.desk / "pointsman.toml").read_text()
    put(shop, "pointsman.toml", text.replace(POLICY, ""))
    at(shop, "no more of that", key=keys / "ann")
    assert "names no file" in unsigned(shop)[signed]


@pytest.mark.slow
def test_a_file_that_is_missing_or_is_none_is_a_sentence(shop: Shop) -> None:
    for text, says in (
        ("ann@example.org\n", "line 1 of security/allowed_signers on main"),
        ("# who\n\nann@example.org ssh-ed25519 rubbish\n", "line 3"),
        (None, f"main has no file {SIGNERS}, which"),
    ):
        put(shop, SIGNERS, text or "")
        if text is None:
            (shop.desk / SIGNERS).unlink()
        at(shop, "oh")
        with pytest.raises(Problem, match=says):
            unsigned(shop)


def test_without_ssh_keygen_the_sentence_says_what_to_install(
    shop: Shop, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(shop, key=keys / "ann")
    (tmp_path / "git").symlink_to("/usr/bin/git")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match="install OpenSSH"):
        unsigned(shop)


def test_an_ssh_keygen_that_hangs_is_told_as_that(
    shop: Shop, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(shop, key=keys / "ann")
    (tmp_path / "ssh-keygen").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("pointsman.history.signatures._SECONDS", 0.2)
    with pytest.raises(Problem, match=r"ssh-keygen gave no answer within 0\.2 s"):
        unsigned(shop)


@pytest.mark.slow
def test_ships_and_rollbacks_of_whoever_signs_by_configuration_are_signed(
    shop: Shop, keys: Path, tmp_path: Path
) -> None:
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(keys / "ann")), ("commit.gpgsign", "true")):
        git(shop.desk, "config", name, value)
    shop.publish(day=2, merge=True)
    shop.roll_back(now=True, reason="a bad day")
    shop.publish(popularity(tmp_path / "p.json", 10, surface="search"))
    assert unsigned(shop, clock=1 << 40) == {}
    git(shop.desk, "config", "--unset", "commit.gpgsign")
    shop.merge("grocer/search")
    assert set(unsigned(shop, clock=1 << 40)) == {shop.main}


@pytest.mark.parametrize(
    "audit_table,says",
    [
        ("allowed_signers = 3", "must be the path of a file of this repository"),
        ('allowed_signers = "/etc/ssh/signers"', "must be the path of a file of this repository"),
        ('allowed_signers = "../signers"', "must be the path of a file of this repository"),
        ('signed = ["manifests/"]', "signed needs allowed_signers"),
        ('allowed_signers = "s"\nsigned = "manifests/"', 'such as ["manifests/"]'),
        ('allowed_signers = "s"\nsigned = [""]', 'such as ["manifests/"]'),
        ('allowed_signers = "s"\nsigned = ["manifests/*"]', 'such as ["manifests/"]'),
        ('allowed_signers = "s"\nsign = ["manifests/"]', "did you mean signed?"),
    ],
)
def test_settings_that_could_not_be_honoured_are_refused(audit_table: str, says: str) -> None:
    with pytest.raises(Problem) as error:
        read_settings(f'[store]\nurl = "file:///srv/recsys"\n[audit]\n{audit_table}\n'.encode())
    assert says in str(error.value)


@pytest.mark.slow
def test_a_directory_a_file_or_everything_must_be_signed(shop: Shop, keys: Path) -> None:
    text = (shop.desk / "pointsman.toml").read_text()
    asked = {}
    for signed, must in (
        ("['.']", True),
        ("['holds']", True),
        ("['holds/grocer/home.json']", True),
        ("['hold']", False),
    ):
        put(shop, "pointsman.toml", text.replace('["manifests/", "holds/"]', signed))
        at(shop, "another policy", key=keys / "ann")
        asked[hold(shop, reason=signed)] = must
    assert set(unsigned(shop)) == {commit for commit, must in asked.items() if must}


@pytest.mark.slow
def test_the_report_says_what_had_to_be_signed_and_who_signed(shop: Shop, keys: Path) -> None:
    hold(shop, key=keys / "ann")
    hold(shop, reason="nobody's")
    with shop.open() as repo:
        outcome = audit.audit(Workspace(repo, clock=clock_at(NOW)))
    document = json.loads(json.dumps(outcome.document))
    validate("audit", document)
    found = document["signatures"]
    assert (found["allowed_signers"], found["signed"]) == (SIGNERS, ["manifests/", "holds/"])
    assert (found["asked"], found["good"]) == (2, 1)
    assert [(each["signer"], each["commits"]) for each in found["signers"]] == [("ann@example.org", 1)]
    signers = [event["signature"]["signer"] for event in document["events"]]
    assert signers == ["", "ann@example.org", ""]  # the ship of before the policy, which is no fault, too
    assert terminal.render(outcome.value).count("no good signature") == 1, "of what had to be signed"
    for form in (terminal, markdown, audit_html):
        page = html.unescape(form.render(outcome.value))
        assert "1 of 2 commits" in page
        assert "signed by ann@example.org" in page
        assert found["signers"][0]["key"] in page


@pytest.mark.slow
def test_without_a_policy_the_report_still_says_who_signed_what(shop: Shop, keys: Path) -> None:
    text = (shop.desk / "pointsman.toml").read_text()
    put(shop, "pointsman.toml", text.replace('["manifests/", "holds/"]', "[]"))
    at(shop, "nothing must be", key=keys / "ann")
    hold(shop, key=keys / "ann")
    hold(shop, key=keys / "eve", reason="another")
    with shop.open() as repo:
        outcome = audit.audit(Workspace(repo, clock=clock_at(NOW)))
    assert outcome.exit_code == 0
    assert [event["signature"]["signer"] for event in outcome.document["events"]] == ["", "ann@example.org", ""]
    text = terminal.render(outcome.value)
    assert ("signed by ann@example.org" in text, "no good signature" in text) == (True, False)
