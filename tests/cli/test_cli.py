"""The command line: what it says where, and which exit code it ends with."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import click
import pytest
from shop import KeptDirectory

import pointsman
from pointsman.cli.console import Call
from pointsman.cli.main import _COMMANDS, cli, main
from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.verbs import hash as hashing
from pointsman.verbs import pr

STAGING = Path(str(resources.files("pointsman"))) / "demo_data" / "staging"
DAY_1, DAY_2, DAY_3 = "2026-03-01_2026-03-02", "2026-03-02_2026-03-03", "2026-03-03_2026-03-04"
Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command line in this process: exit code, stdout, stderr."""

    def run(*words: str) -> Ran:
        code = main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> KeptDirectory:
    return KeptDirectory(tmp_path_factory.mktemp("kept"), lambda place: main(["init", str(place)]))


@pytest.fixture
def shop(kept: KeptDirectory, capsys: pytest.CaptureFixture[str]) -> str:
    """A manifest repository that is its own origin."""
    capsys.readouterr()  # what making it said
    return str(kept.fresh())


def process(*words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """The same in a process of its own."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "pointsman", *words], check=False, **{"capture_output": True, **more}
    )


def every_command(group: click.Group = cli, path: tuple[str, ...] = ()) -> Mapping[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= every_command(command, (*path, name))
        else:
            found[*path, name] = command
    assert found
    return found


def state(directory: str) -> str:
    return subprocess.check_output(["git", "-C", directory, "for-each-ref"], text=True)


# help and usage


def test_every_command_has_help_with_an_example_that_it_would_understand() -> None:
    for path, command in every_command().items():
        context = click.Context(command, info_name=" ".join(("pointsman", *path)))
        text = command.get_help(context)
        assert "Example:" in text, path
        example = re.sub(r'"[^"]*"', "TEXT", text.partition("Example:")[2]).split()
        assert example[0] == "pointsman"
        assert tuple(example[1 : 1 + len(path)]) == path
        words = example[1 + len(path) :]
        with command.make_context(" ".join(path), list(words), resilient_parsing=False, obj=Call()) as parsed:
            assert parsed is not None


def test_every_command_takes_json_after_its_name() -> None:
    for path, command in every_command().items():
        assert any("--json" in parameter.opts for parameter in command.params), path


def test_help_and_version_end_with_0(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "Exit codes" in out
    assert run("--version") == (0, f"pointsman {pointsman.__version__}\n", "")


@pytest.mark.slow
def test_git_tells_its_version_once_and_gitpython_imports_no_object_database(tmp_path: Path) -> None:
    wrapper = tmp_path / "git"
    wrapper.write_text(f'#!/bin/sh\necho "$*" >>"$0.log"\nexec {shutil.which("git")} "$@"\n')
    wrapper.chmod(0o755)
    program = (
        "import contextlib, sys; from pointsman.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['-C', sys.argv[1], 'status'])\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] in ('git', 'gitdb')))\n"
        "import git; print(git.Repo.__name__)"
    )
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run([sys.executable, "-c", program, tmp_path], env=env, capture_output=True, text=True, check=True)
    imported, whole = ran.stdout.splitlines()
    assert "is not a git repository" in ran.stderr
    asked = Path(f"{wrapper}.log").read_text().splitlines()
    assert asked[0] == "version"
    assert "rev-parse" in asked[1], "it opened the repository with no further question"
    assert "git.cmd" in imported.split()
    assert not {"git", "git.repo", "gitdb", "gitdb.db"} & set(imported.split())
    assert whole == "Repo", "and nobody is kept from importing it whole"


def test_help_imports_no_git_no_schemas_and_no_verb() -> None:
    program = "import sys; from pointsman.cli import main; main(['--help']); print(*sorted(sys.modules))"
    out = subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()[-1].split()
    heavy = {"git", "msgspec", "jsonschema", "json", "subprocess", "tempfile"}
    assert not heavy & set(out)
    assert {name for name in out if name.startswith("pointsman")} == {
        "pointsman",
        "pointsman.cli",
        "pointsman.cli.console",
        "pointsman.cli.main",
        "pointsman.errors",
        "pointsman.patterns",
        "pointsman.progress",
        "pointsman.state",
        "pointsman.state.suggest",
        "pointsman.streams",
    }


@pytest.mark.slow
def test_the_modules_of_a_command_compile_no_pattern_while_they_are_loaded() -> None:
    program = """if True:
        import re, sys
        made, compiled = [], re.compile
        def note(*args, **more):
            made.append(sys._getframe(1).f_globals["__name__"])
            return compiled(*args, **more)
        re.compile = note
        from pointsman.cli.main import main
        import pointsman.verbs.gc, pointsman.verbs.publish, pointsman.verbs.rollback, pointsman.verbs.sync
        print(*sorted({name for name in made if name.startswith("pointsman")}))
    """
    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == []


def test_the_modules_of_a_command_load_nothing_that_only_some_runs_need() -> None:
    seldom = {"calendar", "getpass", "pickle", "random", "secrets", "socket", "tempfile"}
    program = """if True:
        import sys
        import pointsman.verbs.publish, pointsman.verbs.rollback, pointsman.verbs.sync
        print(*sorted(sys.modules))
    """
    assert not seldom & set(subprocess.check_output([sys.executable, "-c", program], text=True).split())


def test_the_list_of_commands_says_of_each_what_its_own_help_says_first() -> None:
    for name, (_, says) in _COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.name == name
        assert " ".join((command.help or "").partition("\n\n")[0].split()) == says
    assert not re.search(r"[a-z]\.\.\.$", cli.get_help(click.Context(cli)), re.MULTILINE), "each fits on its line"


@pytest.mark.parametrize(
    "words, says",
    [
        ((), "Missing command"),
        (("stauts",), "did you mean status?"),
        (("stat",), "did you mean status?"),
        (("re",), "did you mean release, retire or review?"),
        (("pr-list",), "did you mean pr?"),
        (("nosuch",), ": known are adopt, approve, at, attest, audit, "),
        (("pr", "mrege", "x"), "did you mean merge?"),
        (("sync", "--dry-rnu"), "--dry-run"),
        (("hash",), "Missing argument"),
        (("publish",), "nothing to publish"),
        (("publish", "a.json", "--accept", "items-drop"), "--accept needs --reason"),
        (("publish", "a.json", "--accept", "items-dorp", "--reason", "x"), "did you mean items-drop?"),
        (("publish", "a.json", "--accept", "nonsense", "--reason", "x"), "'nonsense': known are type-dropped, "),
        (
            ("publish", "a.json", "--accept", "on-hold", "--reason", "x"),
            "on-hold cannot be accepted: those that can ",
        ),
        (("publish", "a.json", "--accept", "evidence-missing", "--reason", "x"), "is not a git repository"),
        (("publish", "--drop", "grocer/home"), "is not TARGET:TYPE"),
        (("publish", "--drop", "grocer/../x:cooc"), "not a target"),
        (("publish", "--drop", "grocer/home:a b"), "not a name for a type"),
        (("publish", "--drop", "grocer/home:cooc", "--window", DAY_1), "--window"),
        (("publish", "a.json", "--run", "one\ntwo"), "not one line of text"),
        (("publish", "a.json", "--run", "run 7"), "'run 7' is not a URL, such as https://ci.example/runs/7"),
        (("publish", "a.json", "--run", "ci.example/7"), "is not a URL"),
        (("publish", "a.json", "--run", "file:///tmp/7"), "is not a URL"),
        (("publish", "a.json", "--run", "https:///7"), "is not a URL"),
        (("publish", "a.json", "--run", "https://me:secret@ci.example/7"), "leave out the user and the password"),
        (("ship", "grocer/home", "cooc@1234", "--run", "7"), "'7' is not a URL"),
        (("adopt", "--run", "7"), "'7' is not a URL"),
        (("publish", "a.json", "--reason", " "), "'--reason': it is empty: write a value"),
        (("publish", "a.json", "--accept"), "(see: pointsman publish --help)"),
        (("status", "-C", "x"), "it stands before the command, pointsman -C …"),
        (("sync", "grocer/home"), "it takes no target, because it brings all of them"),
        (("-C", "", "status"), "there is no directory ''"),
        (("-C", __file__, "status"), "is no directory: name a checkout"),
        (("rollback", "all"), "'*/*' is all of them"),
        (("rollback", "*"), "'*/*' for all"),
        (("seen", "--field", "x"), "'x' is not NAME=PATH, such as message=log.text"),
        (("ship", "grocer/home", "cooc@95E9FEFB"), "in lower case"),
        (("init", "x", "--forge", "foo"), "knows local, github, gitlab"),
        (("publish", "a.json", "--reason", "\udcff"), "not UTF-8"),
        (("rollback", "grocer"), "such as grocer/home): 'grocer/*' is every target of grocer"),
        (("log", "619d7c53"), "such as grocer/home): pointsman show 619d7c53 tells of a version"),
        (("rollback", "-x/y"), "No such option"),
        (("rollback", "grocer/home", "--now"), "needs --reason"),
        (("status", "registry/home"), "a tenant cannot be called 'registry'"),
        (("status", "--fail-on", "drift,slow"), "'slow' is not one of drift, behind, stale"),
        (("status", "--watch", "--wait", "3"), "--watch goes on until it is interrupted"),
        (("status", "--listen", "9464"), "--listen serves what --watch sees"),
        (("status", "--watch", "--listen", "there:"), "'there:' is not [HOST:]PORT, such as 9464 or 0.0.0.0:9464"),
        (("status", "--wait", "-1"), "'-1' is not a number of seconds (0 to "),
        (("sync", "--watch", "0"), "'0' is not a number of seconds (above 0, "),
        (("sync", "--watch", "nan"), "'nan' is not a number of seconds"),
        (("sync", "--watch", "inf"), "'inf' is not a number of seconds"),
        (("verify", "--sample", "some"), "'some' is not a whole number from 1 on"),
        *((("gc", "--max-share", text), f"'{text}' is not a share from 0 to 1") for text in ("nan", "20%", "1.1")),
        (("verify", "--sample", "0"), "'0' is not a whole number from 1 on"),
        (("check", "--staged", "--base", "main"), "--staged"),
        (("init", "d", "--set", "policy.items_drop"), "not KEY=VALUE"),
        (("log", "--recrods"), "--records"),
    ],
)
def test_wrong_usage_is_one_sentence_exit_2_and_a_document_wherever_json_stands(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert says in err
    assert err.startswith("pointsman: ")
    assert err.count("\n") == 1
    for with_json in (("--json", *words), (*words, "--json")):
        code, out, err = run(*with_json)
        document = json.loads(out)
        assert code == document["exit_code"] == 2
        assert says in document["problem"]
        assert err == f"pointsman: {document['problem']}\n"
    assert list(tmp_path.iterdir()) == []


# problems


@pytest.mark.parametrize("words", [("at", "now", "grocer/*"), ("config", "*/*"), ("review", "grocer/*")])
def test_a_pattern_where_a_target_is_taken_is_told_as_that(run: Run, shop: str, words: tuple[str, ...]) -> None:
    code, _, said = run("-C", shop, *words)
    assert (code, " is a pattern, and here it takes a target, such as grocer/home" in said) == (2, True)


@pytest.mark.parametrize("problem", [Problem("so it is"), Unreachable("so it is"), MovedFirst("so it is")])
def test_a_problem_is_a_sentence_and_its_exit_code(
    run: Run, shop: str, monkeypatch: pytest.MonkeyPatch, problem: Problem
) -> None:
    def stop(*_: object) -> None:
        raise problem

    monkeypatch.setattr(pr, "list_pulls", stop)
    assert run("-C", shop, "pr", "list") == (problem.exit_code, "", "pointsman: so it is\n")
    code, out, err = run("-C", shop, "pr", "list", "--json")
    assert (code, err) == (problem.exit_code, "pointsman: so it is\n")
    assert json.loads(out) == {"problem": "so it is", "exit_code": problem.exit_code}


def test_a_bug_ends_in_one_sentence_and_shows_where_with_v(
    run: Run, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise RecursionError("at http://ann:s3cret@host/x\x1b[31m")

    monkeypatch.setattr(pr, "list_pulls", stop)
    code, out, err = run("-C", shop, "pr", "list")
    assert (code, out) == (70, "")
    assert err.startswith("pointsman: this is a bug in pointsman (RecursionError: at http://host/x\\u001b[31m)")
    assert len(err.splitlines()) == 1
    code, out, err = run("-C", shop, "-v", "--json", "pr", "list")
    assert (code, json.loads(out)["exit_code"]) == (70, 70)
    assert "Traceback" in err
    assert "s3cret" not in out + err


@pytest.mark.slow
@pytest.mark.parametrize("url", ["http://ci:S3CRET@127.0.0.1:9/x/y.git", "http://S3CRET@127.0.0.1:9/x.git"])
def test_no_command_prints_the_credentials_of_a_remote(run: Run, shop: str, url: str) -> None:
    subprocess.run(["git", "-C", shop, "remote", "add", "origin", url], check=True)
    for words in (("status",), ("log",), ("pr", "list"), ("doctor",), ("sync",), ("audit",), ("--json", "doctor")):
        code, out, err = run("-C", shop, *words)
        assert code == 3
        assert "127.0.0.1:9" in out + err
        assert "S3CRET" not in out + err
    code, out, err = run("-C", url, "status")
    assert (code, "S3CRET" in out + err) == (3, False)


def test_trouble_with_the_machine_is_a_sentence_too(run: Run, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise OSError(28, "No space left on device", "/srv/full")

    monkeypatch.setattr(pr, "list_pulls", stop)
    assert run("-C", shop, "pr", "list") == (3, "", "pointsman: /srv/full: No space left on device\n")


def test_a_pipe_that_breaks_inside_is_not_taken_for_our_own_reader(
    run: Run, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(pr, "list_pulls", stop)
    assert run("-C", shop, "pr", "list")[0] == 3


@pytest.mark.parametrize("spec, code", [("missing", 2), ("plain", 2), ("", 2), ("file:///nowhere/at/all", 3)])
def test_what_is_no_repository_is_a_problem(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, code: int
) -> None:
    (tmp_path / "plain").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("-C", spec, "pr", "list")[:2] == (code, "")
    code, out, err = run("-C", spec, "pr", "list", "--json")
    assert err == f"pointsman: {json.loads(out)['problem']}\n"


def test_a_repository_without_settings_is_a_problem(run: Run, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", str(tmp_path), *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    code, _, err = run("-C", str(tmp_path), "publish", str(STAGING))
    assert code == 2
    assert "pointsman init" in err


@pytest.mark.slow
def test_without_git_it_says_so(shop: str, tmp_path: Path) -> None:
    ran = process("-C", shop, "pr", "list", env={**os.environ, "PATH": str(tmp_path), "PYTHONPATH": _package_root()})
    assert ran.returncode == 2
    assert b"install git" in ran.stderr
    assert b"Traceback" not in ran.stderr


def _package_root() -> str:
    return str(Path(pointsman.__file__).parent.parent)


# interrupts, pipes, encodings


@pytest.mark.slow
def test_an_interrupt_ends_with_130_and_no_traceback(shop: str) -> None:
    program = (
        "import os, signal, sys; from pointsman.verbs import pr; from pointsman.cli import main\n"
        "pr.list_pulls = lambda repo: os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.exit(main(['-C', {shop!r}, 'pr', 'list']))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ran.returncode == 128 + signal.SIGINT
    assert b"Traceback" not in ran.stderr
    assert ran.stdout == b""


@pytest.mark.parametrize(
    "words",
    [
        ("hash", str(STAGING)),
        pytest.param(("--help",), marks=pytest.mark.slow),
        pytest.param(("--json", "hash", str(STAGING)), marks=pytest.mark.slow),
    ],
)
def test_a_reader_that_goes_away_is_no_trouble(words: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    ran = process(*words, capture_output=False, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert ran.returncode == 128 + signal.SIGPIPE
    assert ran.stderr == b""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_any_file_name_can_be_said_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    artifact = next(STAGING.rglob("popularity/*/*.json"))
    names = [b"plain.json", "é €.json".encode(), b"not utf-8 \xff.json"]
    for name in names:
        shutil.copy(os.fsencode(artifact), os.path.join(os.fsencode(tmp_path), name))
    files = [os.path.join(os.fsencode(tmp_path), name) for name in names]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": _package_root()}
    command = [sys.executable, "-P", "-m", "pointsman", "hash", *map(os.fsdecode, files)]
    ran = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == len(names)
    if encoding == "utf-8":
        assert [line.partition(b"  ")[2] for line in lines] == files
    ran = subprocess.run([*command, "--json"], capture_output=True, env=environment, check=False)
    assert [each["path"] for each in json.loads(ran.stdout)["artifacts"]] == [os.fsdecode(file) for file in files]


def test_control_characters_reach_no_terminal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.json"
    path.write_text("{")
    code, out, err = run("hash", str(path))
    assert code == 1
    assert "\x1b" not in out + err
    assert "a\\u001b[31m.json" in err


# hash


def test_hash_prints_as_sha256sum_prints_and_needs_no_repository(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = next(STAGING.rglob(f"popularity/{DAY_1}/*.json"))
    assert run("hash", str(file)) == (0, f"{file.stem}  {file}\n", "")


def test_hash_says_every_fault_and_still_prints_the_others(run: Run, tmp_path: Path) -> None:
    file = next(STAGING.rglob(f"popularity/{DAY_1}/*.json"))
    (tmp_path / "bad.json").write_text("{}")
    code, out, err = run("hash", str(tmp_path / "bad.json"), str(file))
    assert (code, out) == (1, f"{file.stem}  {file}\n")
    assert err.startswith(f"{tmp_path / 'bad.json'}: ")
    code, out, err = run("hash", "--json", str(tmp_path / "bad.json"), str(file))
    assert code == 1
    faults = json.loads(out)["faults"]
    assert {fault["path"] for fault in faults} == {str(tmp_path / "bad.json")}
    assert len(faults) == 6  # an envelope has so many members that must be there


@pytest.mark.slow
def test_hash_knows_the_types_of_the_manifest_repository_around_it(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    asked: list[object] = []

    def remember(paths: object, repo: object) -> object:
        asked.append(repo)
        raise Problem("enough")

    monkeypatch.setattr(hashing, "hash_files", remember)
    monkeypatch.chdir(tmp_path)
    run("hash", "x.json")
    monkeypatch.chdir(Path(shop) / "manifests")
    run("hash", "x.json")
    monkeypatch.chdir(tmp_path)
    run("-C", shop, "hash", "x.json")
    assert [repo is not None for repo in asked] == [False, True, True]


# the loop


@pytest.mark.slow
def test_publish_says_what_to_do_next_and_does_it(run: Run, shop: str) -> None:
    code, out, err = run("-C", shop, "publish", str(STAGING), "--window", DAY_1)
    assert code == 0, err
    here = re.escape(shlex.quote(shop))
    assert re.search(
        rf"^grocer/home: opened ship/grocer/home/[0-9a-f]{{12}}; next: pointsman -C {here} pr merge",
        out,
        re.M,
    )
    assert "grocer/home" in run("-C", shop, "pr", "list")[1]
    assert "the gate passes it" in run("-C", shop, "pr", "show", "grocer/home")[1]
    code, out, _ = run("-C", shop, "pr", "merge", "grocer/home")
    assert code == 0
    assert "merged grocer/home" in out
    assert run("-C", shop, "check")[0] == 0


@pytest.mark.slow
def test_v_says_what_is_being_done_on_stderr(run: Run, shop: str) -> None:
    quiet = run("-C", shop, "publish", str(STAGING), "--window", DAY_1, "--dry-run")
    assert quiet[2] == ""
    code, out, err = run("-C", shop, "-v", "publish", str(STAGING), "--window", DAY_1, "--dry-run")
    assert (code, out) == quiet[:2]
    assert "read 5 artifacts" in err


@pytest.mark.slow
def test_notes_go_to_stderr_and_leave_the_document_alone(run: Run, shop: str) -> None:
    toml = Path(shop) / "pointsman.toml"
    toml.write_text(toml.read_text() + "# mine\n")
    code, out, err = run("--json", "-C", shop, "publish", str(STAGING), "--window", DAY_1, "--merge")
    assert code == 0
    assert json.loads(out)["targets"][0]["outcome"] == "merged"
    assert "has changes of its own" in err
    assert toml.read_text().endswith("# mine\n")


@pytest.mark.slow
def test_a_refusal_names_every_fault_and_says_that_nothing_was_written(run: Run, shop: str) -> None:
    assert run("-C", shop, "publish", str(STAGING), "--window", DAY_2, "--merge")[0] == 0
    before = state(shop)
    words = ("-C", shop, "publish", str(STAGING), "--window", DAY_3)
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    *faults, last = err.splitlines()
    assert last == "pointsman: refused, nothing was written"
    assert faults
    path = "manifests/grocer/home/manifest.json"
    assert [line.split(": ")[:2] for line in faults] == [
        [path, rule] for rule in ("items-drop", "kept-low", "size-jump")
    ]
    code, out, _ = run(*words, "--json")
    assert code == 1
    assert [f"{each['path']}: {each['rule']}: {each['says']}" for each in json.loads(out)["faults"]] == faults
    assert state(shop) == before
    accepted = [word for rule in ("items-drop", "kept-low", "size-jump") for word in ("--accept", rule)]
    assert run(*words, *accepted[:4], "--reason", "a sale")[0] == 1
    assert run(*words, *accepted, "--reason", "a sale")[0] == 0


@pytest.mark.slow
def test_publishing_a_directory_without_artifacts_is_an_error(run: Run, shop: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run("-C", shop, "publish", str(tmp_path / "empty"))
    assert code == 2
    assert "no staged artifacts" in err


@pytest.mark.slow
def test_drop_takes_a_type_out(run: Run, shop: str) -> None:
    assert run("-C", shop, "publish", str(STAGING), "--window", DAY_1, "--merge")[0] == 0
    assert run("-C", shop, "publish", "--drop", "grocer/home:cooc", "--merge")[0] == 0
    manifest = json.loads((Path(shop) / "manifests/grocer/home/manifest.json").read_text())
    assert "cooc" not in manifest["current"]


@pytest.mark.slow
def test_rollback_puts_the_day_before_back(run: Run, shop: str) -> None:
    path = Path(shop) / "manifests/grocer/home/manifest.json"
    for day in (DAY_1, DAY_2):
        assert run("-C", shop, "publish", str(STAGING), "--window", day, "--merge")[0] == 0
    newest = path.read_bytes()
    code, out, _ = run("-C", shop, "rollback", "grocer/home", "--now", "--reason", "too few items")
    assert code == 0
    assert "rolled back" in out
    assert json.loads(path.read_bytes())["updated_at"] < json.loads(newest)["updated_at"]


def test_completion_comes_with_click() -> None:
    environment = {
        **os.environ,
        "_POINTSMAN_COMPLETE": "bash_complete",
        "COMP_WORDS": "pointsman rollb",
        "COMP_CWORD": "1",
    }
    ran = process(env={**environment, "PYTHONPATH": _package_root()})
    assert ran.stdout == b"plain,rollback\n"
    assert ran.returncode == 0
