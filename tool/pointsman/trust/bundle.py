"""The archive that proves a main to somebody who has neither the repository nor Pointsman.

It is a tar of two files: a README with the commands, and `main.bundle`, the whole history of main as a bundle of git
(git's gitformat-bundle). Settings, files of signers, approvals and evidence are files of that history.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import IO

from pointsman.durable import sync_directory
from pointsman.errors import Problem, Unreachable
from pointsman.files import NO_LINKS, open_file, write_new
from pointsman.repo.git import Git
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.state.objects import Oid

_README, _BUNDLE = "README.md", "main.bundle"
_MOST = {_README: 1 << 20, _BUNDLE: 1 << 31}  # bytes
_BLOCK = tarfile.BLOCKSIZE
_PIECE = 1 << 20  # bytes
_SECONDS = 1800.0  # for git to pack or to unpack a history
_MOST_OBJECT = 1 << 27  # bytes of one object: a few kilobytes can unpack to gigabytes
_MOST_MEMORY = 1 << 28  # bytes that git may ask for at once when it unpacks
_STREAMED = 1 << 24  # bytes; a blob that is longer is not held in memory
_REF = "refs/heads/main"


def require_free(path: Path) -> None:
    """Problem if an archive cannot be made there: that is better known before the work than after it."""
    if os.path.lexists(path):
        raise Problem(f"{path} is there already: name a new file for --bundle")
    if not path.parent.is_dir():
        raise Problem(f"there is no directory {path.parent}: make it, or name another file for --bundle")


def write_bundle(repo: Repository, main: Oid, signers: str, path: Path) -> int:
    """Make the archive of a main, and return its bytes. It is there whole or not at all.

    `signers`: the file of signers in main.
    """
    repo.deepen_to_first()
    try:
        with tempfile.TemporaryDirectory(prefix=".pointsman-", dir=path.parent) as directory:
            place = Path(directory).absolute()  # git runs in the repository, not here
            bundle = _bundle(repo.git, main, place)
            with (place / "tar").open("wb") as file:
                with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                    for name, content in ((_README, _readme(place, main, signers)), (_BUNDLE, bundle)):
                        _add(tar, name, content)
                file.flush()
                os.fsync(file.fileno())
            _put(place / "tar", path)
            sync_directory(path.parent)
            return path.stat().st_size
    except FileExistsError as error:
        raise Problem(f"{path} is there already: name a new file for --bundle") from error
    except OSError as error:
        raise Unreachable(f"cannot write {path}: {error.strerror or error}") from error


def _put(made: Path, path: Path) -> None:
    """Give a file its name. FileExistsError if anything stands there: unlike a rename a link replaces nothing."""
    try:
        os.link(made, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        write_new(path, b"")  # then the rename takes away nothing but this
        os.replace(made, path)


def _bundle(git: Git, main: Oid, place: Path) -> Path:
    """A bundle of all of main. Not made by `git bundle`, which would name the ref as this clone does."""
    ran = git.run(
        "pack-objects", "--quiet", "--revs", str(place / "pack"), given=f"{main}\n".encode(), timeout=_SECONDS
    )
    if ran.code != 0:
        raise Problem(f"git cannot pack main: {ran.reason}")
    path = place / _BUNDLE
    with path.open("wb") as file, next(place.glob("pack-*.pack")).open("rb") as pack:
        file.write(_header(main))
        shutil.copyfileobj(pack, file, _PIECE)
    if path.stat().st_size > _MOST[_BUNDLE]:
        raise Problem(f"the history of main has more than {_MOST[_BUNDLE]} bytes: no archive is made of so much")
    return path


def _header(main: str) -> bytes:
    """What stands before the pack (gitformat-bundle): only SHA-256 needs version 3."""
    version = "# v2 git bundle" if len(main) == 40 else "# v3 git bundle\n@object-format=sha256"
    return f"{version}\n{main} {_REF}\n\n".encode()


def _readme(place: Path, main: Oid, signers: str) -> Path:
    text = resources.files("pointsman").joinpath("templates", "bundle.md").read_text(encoding="utf-8")
    path = place / _README
    path.write_text(text.replace("{main}", main).replace("{signers}", shlex.quote(signers)), encoding="utf-8")
    return path


def _add(tar: tarfile.TarFile, name: str, content: Path) -> None:
    """Add a file that tells nothing of the machine: the same main gives the same entry."""
    info = tarfile.TarInfo(name)
    info.size = content.stat().st_size
    with content.open("rb") as file:
        tar.addfile(info, file)


@contextlib.contextmanager
def open_bundle(path: Path) -> Iterator[Repository]:
    """The main of an archive, as a repository that is deleted at the end of the context.

    Problem for whatever this module would not have written: the archive may come from anybody.
    """
    with tempfile.TemporaryDirectory(prefix="pointsman-", ignore_cleanup_errors=True) as directory:
        bundle, bare = Path(directory) / _BUNDLE, Path(directory) / "main.git"
        try:
            fd, _ = open_file(path)
            with open(fd, "rb") as archive:
                _unpack(archive, bundle)
        except OSError as error:
            raise Problem(f"cannot read the archive {path}: {error.strerror or error}") from error
        except _Odd as odd:
            raise Problem(f"{path} is no archive of `pointsman audit --bundle`: {odd}") from odd
        _fetch(path, bundle, bare)
        with open_repository(str(bare)) as repo:
            yield repo


class _Odd(Exception):
    """What is wrong with an archive."""


def _unpack(archive: IO[bytes], bundle: Path) -> None:
    """Take the bundle out. Nothing of the archive is used as a path."""
    for name, most in _MOST.items():
        size = _size(archive, name, most)
        with bundle.open("wb") as file:  # the README, which comes first, is written over
            _copy(archive, file, size)
        archive.read(-size % _BLOCK)
    if archive.read(2 * _BLOCK).strip(b"\0"):
        raise _Odd(f"something follows {_BUNDLE} in it")


def _size(archive: IO[bytes], name: str, most: int) -> int:
    """The bytes of the next file in a tar, which must be a plain file of this name."""
    try:
        info = tarfile.TarInfo.frombuf(archive.read(_BLOCK), "ascii", "surrogateescape")
    except tarfile.HeaderError as error:
        raise _Odd(f"no file {name} is where it must be") from error
    if info.name != name or info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise _Odd(f"something else than the plain file {name} is where that must be")
    if not 0 <= info.size <= most:
        raise _Odd(f"{name} in it has more than {most} bytes")
    return info.size


def _copy(archive: IO[bytes], file: IO[bytes], size: int) -> None:
    while size > 0:
        piece = archive.read(min(size, _PIECE))
        if not piece:
            raise _Odd("it ends too early; copy it again")
        file.write(piece)
        size -= len(piece)


def _fetch(path: Path, bundle: Path, bare: Path) -> None:
    """Make a repository of a bundle: git checks every object, and that none is missing."""
    says = f"{path} is no archive of `pointsman audit --bundle`"
    with bundle.open("rb") as file:
        head = file.read(200)
    main = head.partition(f" {_REF}\n".encode())[0].rpartition(b"\n")[2].decode("ascii", "replace")
    if not head.startswith(_header(main)):  # no commit that is needed, no filter, no other ref
        raise Problem(f"{says}: {_BUNDLE} in it does not bring {_REF} alone and whole")
    bare.mkdir()
    git = Git(str(bare), bare=True, lasting=False)
    with contextlib.closing(git):
        form = "sha1" if len(main) == 40 else "sha256"
        git.ask("init", "--quiet", "--bare", "--initial-branch=main", "--template=", f"--object-format={form}", ".")
        git.ask("config", "core.bigFileThreshold", str(_STREAMED))
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(bundle), f"{_REF}:{_REF}")
        ran = git.run(*words, timeout=_SECONDS, env={"GIT_ALLOC_LIMIT": str(_MOST_MEMORY)})
        if ran.code != 0:
            raise Problem(f"{says}: git does not take {_BUNDLE} out of it: {ran.reason}")
        ran = git.run("cat-file", "--batch-all-objects", "--batch-check=%(objectsize)", timeout=_SECONDS)
    if ran.code != 0 or max(map(int, ran.out.split()), default=0) > _MOST_OBJECT:
        raise Problem(f"{says}: an object in it has more than {_MOST_OBJECT} bytes")
