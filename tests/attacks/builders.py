"""Cases that data cannot hold: what git itself would not write, and what is done to a repository instead of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attacks.corpus import Case, Work
from attacks.plain_git import FILE, SUBMODULE, TREE, Leaf, set_ref
from attacks.states import HOME, manifest_path

ATTACKS: list[Case] = []
INNOCENTS: list[Case] = []
MANIFEST = manifest_path(HOME)
Build = Callable[[Work], None]
Prepare = Callable[[Work, Path], None]


def attack(rule: str, *also: str, **more: Any) -> Callable[[Build], Build]:
    """Register what a function builds as an attack that `rule` must stop; its name is the case's."""

    def register(build: Build) -> Build:
        name = build.__name__.replace("_", " ").strip()
        ATTACKS.append(Case(name, rule, build, also=frozenset(also), **more))
        return build

    return register


def innocent(**more: Any) -> Callable[[Build], Build]:
    def register(build: Build) -> Build:
        INNOCENTS.append(Case(build.__name__.replace("_", " ").strip(), "", build, **more))
        return build

    return register


def hand_edit(work: Work) -> None:
    """Other bytes than main's, well formed, that nothing vouches for."""
    work.ship(popularity=3)


def evil(work: Work) -> str:
    hand_edit(work)
    return work.files[MANIFEST].oid


def tree_of(work: Work, path: str) -> str:
    """The tree of a directory as the files have it now."""
    below = {each[len(path) + 1 :]: leaf for each, leaf in work.files.items() if each.startswith(f"{path}/")}
    return work.state.objects.tree(below)


def root_with(work: Work, home: str) -> str:
    """The root tree when the directory of grocer/home is this tree."""
    objects = work.state.objects
    grocer = objects.entries([(TREE, "home", home)])
    rest = {path: leaf for path, leaf in work.files.items() if path.startswith("manifests/bakery/")}
    bakery = objects.tree({path.removeprefix("manifests/bakery/"): leaf for path, leaf in rest.items()})
    readme = work.files["manifests/README.md"].oid
    manifests = objects.entries([(FILE, "README.md", readme), (TREE, "bakery", bakery), (TREE, "grocer", grocer)])
    return root(work, manifests)


def root(work: Work, manifests: str, *, last: bool = False) -> str:
    """The root tree when `manifests` is this tree, in its place or at the end."""
    files = {path: leaf for path, leaf in work.files.items() if "/" not in path}
    entries = [(leaf.mode, name, leaf.oid) for name, leaf in files.items()]
    directories = sorted({path.partition("/")[0] for path in work.files if "/" in path} - {"manifests"})
    entries += [(TREE, name, tree_of(work, name)) for name in directories]
    entries.sort(key=lambda each: each[1] + ("/" if each[0] == TREE else ""))
    entries.append((TREE, "manifests", manifests))
    if not last:
        entries.sort(key=lambda each: each[1] + ("/" if each[0] == TREE else ""))
    return work.state.objects.entries(entries)


# trees that git would not write


@attack("unvouched-manifest", "bad-path", mended=True)
def a_tree_that_has_the_manifest_twice_the_good_one_first(work: Work) -> None:
    good = work.files[MANIFEST].oid
    pair = [(FILE, "manifest.json", good), (FILE, "manifest.json", evil(work))]
    work.root = root_with(work, work.state.objects.entries(pair))
    work.main = work.commit("ordinary words")


@attack("unvouched-manifest", "bad-path", mended=True)
def a_tree_that_has_the_manifest_twice_the_good_one_last(work: Work) -> None:
    good = work.files[MANIFEST].oid
    pair = [(FILE, "manifest.json", evil(work)), (FILE, "manifest.json", good)]
    work.root = root_with(work, work.state.objects.entries(pair))
    work.main = work.commit("ordinary words")


@attack("unvouched-manifest", "manifest-removed", "bad-path", mended=True)
def a_tree_whose_entries_stand_in_another_order_and_hide_a_hand_edit(work: Work) -> None:
    hand_edit(work)
    work.root = root(work, tree_of(work, "manifests"), last=True)
    work.main = work.commit("ordinary words")


@attack("unvouched-manifest", "bad-path", mended=True)
def a_tree_in_another_order_whose_removal_is_accepted(work: Work) -> None:
    hand_edit(work)
    work.root = root(work, tree_of(work, "manifests"), last=True)
    accepts = "\n".join(f"Accept: {target} manifest-removed tidy" for target in (HOME, "bakery/home"))
    work.main = work.commit(f"tidy up\n\n{accepts}")


@attack("unvouched-manifest", "bad-path", start="shipped-once", mended=True)
def a_tree_in_another_order_that_looks_like_the_revert_of_a_first_ship(work: Work) -> None:
    work.ship(popularity=3)
    work.root = root(work, tree_of(work, "manifests"), last=True)
    work.main = work.commit("ordinary words")


@attack("unvouched-manifest", "bad-path", mended=True)
def a_tree_with_a_slash_in_a_name(work: Work) -> None:
    objects = work.state.objects
    good = tree_of(work, "manifests/grocer")
    home = objects.entries([(FILE, "manifest.json", evil(work))])
    readme = work.files["manifests/README.md"].oid
    bakery = tree_of(work, "manifests/bakery")
    manifests = [
        (FILE, "README.md", readme),
        (TREE, "bakery", bakery),
        (TREE, "grocer", good),
        (TREE, "grocer/home", home),
    ]
    work.root = root(work, objects.entries(manifests))
    work.main = work.commit("ordinary words")


INDEX = {"PC": "git's index has no such trees"}


@attack("bad-path", mended=True, not_at=INDEX)
def a_ship_in_a_tree_with_a_slash_in_a_name(work: Work) -> None:
    message = shipped(work)
    objects = work.state.objects
    home = objects.entries([(FILE, "manifest.json", work.files[MANIFEST].oid)])
    work.files = dict(work.state.files)
    readme = work.files["manifests/README.md"].oid
    below = [(TREE, name, tree_of(work, f"manifests/{name}")) for name in ("bakery", "grocer")]
    manifests = objects.entries([(FILE, "README.md", readme), *below, (TREE, "grocer/home", home)])
    work.root = root(work, manifests)
    work.main = work.commit(message)


@attack("bad-path", mended=True, not_at=INDEX)
def a_ship_in_a_tree_that_has_the_old_manifest_as_well(work: Work) -> None:
    message, old = shipped(work), work.state.files[MANIFEST].oid
    pair = [(FILE, "manifest.json", work.files[MANIFEST].oid), (FILE, "manifest.json", old)]
    work.root = root_with(work, work.state.objects.entries(pair))
    work.main = work.commit(message)


@attack("bad-path", mended=True, not_at=INDEX)
def a_mode_with_a_zero_before_it_which_no_diff_shows_and_sync_cannot_read(work: Work) -> None:
    good = work.files[MANIFEST].oid
    work.root = root_with(work, work.state.objects.entries([(f"0{FILE}", "manifest.json", good)]))
    work.main = work.commit("ordinary words")


def shipped(work: Work) -> str:
    """A right ship in the files; the message that it needs."""
    work.ship(popularity=3)
    return work.fill("ship\n\n{{vouch}}")


# commits


@attack("mixed-change", not_at={"AU": "main never has such a branch", "off": "the gate says so before it asks a rule"})
def a_branch_that_shares_no_history_with_main(work: Work) -> None:
    work.ship(popularity=3)
    message = work.fill("ship\n\n{{vouch}}")
    tree = work.state.objects.tree(work.files)
    work.head = work.state.objects.commit(tree, [], message, time=work.time)


@attack("unvouched-manifest")
def a_line_that_stands_behind_a_nul_in_the_message(work: Work) -> None:
    work.ship(popularity=3)
    lines = work.fill("{{vouch}}")
    work.commit("ship", raw=b"ship\n\0\n\n" + lines.encode() + b"\n")


@attack("items-drop")
def an_accept_line_in_an_encoding_that_no_reviewer_reads(work: Work) -> None:
    work.ship(popularity=5)
    lines = work.fill("{{vouch}}")
    hidden = "+AEEAYwBjAGUAcAB0-: grocer/home items-drop fine"
    work.commit("ship", raw=f"ship\n\n{lines}\n{hidden}\n".encode(), fields="encoding UTF-7")


@attack("unvouched-manifest")
def a_merge_commit_of_the_branch_that_edits_on_its_own(work: Work) -> None:
    work.ship(popularity=3)
    ship = work.commit("ship\n\n{{vouch}}")
    work.files = dict(work.state.trees[work.fork])
    work.head = work.fork
    work.ship(popularity=4, at="2026-03-06T00:00:00.000000Z")
    work.commit("Merge branch 'ship'", merge=[ship])


@attack("on-hold", start="on-hold")
def a_ship_dated_long_after_the_hold_has_ended(work: Work) -> None:
    work.ship(popularity=3)
    work.commit("ship\n\n{{vouch}}", time=40000000000)


@attack("on-hold", start="on-hold")
def a_ship_dated_beyond_every_calendar(work: Work) -> None:
    work.ship(popularity=3)
    work.commit("ship\n\n{{vouch}}", time=99999999999999)


@attack("on-hold", "window-ahead", "unvouched-manifest", start="on-hold")
def a_ship_dated_before_the_hold_began(work: Work) -> None:
    work.ship(popularity=3)
    work.commit("ship\n\n{{vouch}}", time=1)


# what stands in the repository


def replaced(work: Work, git_dir: Path) -> None:
    set_ref(git_dir, f"refs/replace/{work.head}", work.state.tip)


def replaced_content(work: Work, git_dir: Path) -> None:
    good = work.state.files[MANIFEST].oid
    set_ref(git_dir, f"refs/replace/{work.files[MANIFEST].oid}", good)


@attack("unvouched-manifest", prepare=replaced)
def a_hand_edit_that_a_replace_ref_turns_into_main(work: Work) -> None:
    hand_edit(work)
    work.commit("ordinary words")


@attack("unvouched-manifest", prepare=replaced_content)
def a_hand_edit_whose_content_a_replace_ref_hides(work: Work) -> None:
    hand_edit(work)
    work.commit("ordinary words")


def grafted(work: Work, git_dir: Path) -> None:
    """The branch seems to grow out of a history in which its ship is the first, and main out of the branch."""
    (git_dir / "info").mkdir(exist_ok=True)
    lines = [f"{work.head}", f"{work.state.tip} {work.head}"]
    (git_dir / "info" / "grafts").write_text("\n".join(lines) + "\n")


@attack("unvouched-manifest", prepare=grafted)
def a_hand_edit_that_grafts_make_an_ancestor_of_main(work: Work) -> None:
    hand_edit(work)
    work.commit("ordinary words")


@attack("stale-base", prepare=grafted)
def a_stale_ship_that_grafts_give_another_past(work: Work) -> None:
    work.ship(popularity=3)
    work.commit("ship\n\nManifest: grocer/home sha256:{{sha256}}\nSupersedes: grocer/home none")


def tagged(work: Work, git_dir: Path) -> None:
    """Tags named like main and like the branch, and like their full names."""
    for name in ("main", "refs/heads/main", "heads/main"):
        set_ref(git_dir, f"refs/tags/{name}", work.head)
    for name in ("ship/grocer/home/0123456789ab", "refs/heads/ship/grocer/home/0123456789ab"):
        set_ref(git_dir, f"refs/tags/{name}", work.state.tip)


@attack("unvouched-manifest", prepare=tagged)
def a_hand_edit_between_tags_named_like_main_and_the_branch(work: Work) -> None:
    hand_edit(work)
    work.commit("ordinary words")


@attack("unvouched-manifest", head="ship/--upload-pack=evil")
def a_hand_edit_on_a_branch_named_like_an_option(work: Work) -> None:
    hand_edit(work)
    work.commit("ordinary words")


@attack("unvouched-manifest", head="ship/HEAD")
def a_hand_edit_on_a_branch_named_HEAD(work: Work) -> None:  # noqa: N802
    hand_edit(work)
    work.commit("ordinary words")


def named_like_the_id(work: Work, git_dir: Path) -> None:
    set_ref(git_dir, f"refs/heads/{work.head}", work.state.tip)


@attack("unvouched-manifest", prepare=named_like_the_id, asks="id")
def a_hand_edit_whose_id_is_the_name_of_an_innocent_branch(work: Work) -> None:
    hand_edit(work)
    work.commit("ordinary words")


def branch_head(work: Work, git_dir: Path) -> None:
    set_ref(git_dir, "refs/heads/HEAD", work.state.tip)


@attack("unvouched-manifest", prepare=branch_head, asks="HEAD")
def a_hand_edit_in_a_checkout_beside_an_innocent_branch_called_HEAD(work: Work) -> None:  # noqa: N802
    hand_edit(work)
    work.commit("ordinary words")


def hostile_settings(work: Work, git_dir: Path) -> None:
    """Attributes and settings of the repository itself that hide changes, or run a command wherever git lets them."""
    run = f"touch '{git_dir}/evil'"
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text("* -diff export-subst ident filter=evil diff=evil merge=evil\n")
    (git_dir / "hooks").mkdir()
    for name in ("reference-transaction", "update", "pre-receive", "post-update", "post-index-change"):
        (git_dir / "hooks" / name).write_text(f"#!/bin/sh\n{run}\n")
        (git_dir / "hooks" / name).chmod(0o755)
    with (git_dir / "config").open("a") as config:
        config.write(f'[diff]\n\texternal = "{run}"\n\trenames = copies\n[diff "evil"]\n\ttextconv = "{run}; cat"\n')
        config.write(f'[filter "evil"]\n\tclean = "{run}"\n\tsmudge = "{run}"\n[core]\n\tfsmonitor = "{run}"\n')
        config.write(f'\tpager = "{run}"\n\tquotePath = true\n[log]\n\tshowSignature = true\n\tfollow = true\n')
        config.write(f'[gpg]\n\tprogram = "{run}"\n[alias]\n\tlog = "!{run}"\n[status]\n\trenames = copies\n')


@attack("unvouched-manifest", prepare=hostile_settings)
def a_hand_edit_in_a_repository_whose_settings_hide_changes(work: Work) -> None:
    hand_edit(work)
    work.commit("ordinary words")


@attack("record-changed", prepare=hostile_settings)
def a_renamed_record_in_a_repository_that_finds_copies(work: Work) -> None:
    record, other = work.fill("{{path popularity.4}}"), work.fill("{{path popularity.8}}")
    work.record("popularity.8")
    work.leaf(record, None)
    assert other in work.files
    work.commit("ordinary words")


def borrowing(work: Work, git_dir: Path) -> None:
    """The objects come through two alternates, one of which is not there."""
    alternates = git_dir / "objects" / "info" / "alternates"
    alternates.write_text(f"/nowhere/objects\n{alternates.read_text()}")


@attack("unvouched-manifest", prepare=borrowing)
def a_hand_edit_that_stands_in_borrowed_objects_alone(work: Work) -> None:
    hand_edit(work)
    work.commit("ordinary words")


@attack("not-a-plain-file")
def a_submodule_that_a_list_of_submodules_hides(work: Work) -> None:
    work.leaf("manifests/grocer/web/manifest.json", Leaf(SUBMODULE, work.state.tip))
    work.commit("ordinary words")


# main itself


@attack("rewritten-history", start="shipped-thrice")
def main_put_back_to_an_older_commit(work: Work) -> None:
    work.files = dict(work.state.trees[work.state.labels["second-ship"]])
    work.main = work.head = work.state.labels["second-ship"]


@attack("rewritten-history")
def the_last_commit_of_main_amended(work: Work) -> None:
    parent = work.state.parents[work.state.tip]
    work.main = work.state.objects.commit(
        work.state.objects.tree(work.files), parent, "ship: bakery\n\nother words\n", time=work.time
    )


@attack("rewritten-history")
def main_squashed_into_one_commit(work: Work) -> None:
    work.main = work.state.objects.commit(work.state.objects.tree(work.files), [], "all of it\n", time=work.time)


@attack("rewritten-history", start="shipped-thrice")
def a_ship_cut_out_of_the_middle_of_main(work: Work) -> None:
    state = work.state
    work.files = dict(state.trees[state.labels["first-ship"]])
    work.head = state.labels["first-ship"]
    work.main = work.commit("records\n")


@attack("rewritten-history")
def main_grown_out_of_another_root(work: Work) -> None:
    root_commit = work.state.objects.commit(work.state.objects.tree({}), [], "another root\n", time=work.time)
    work.main = work.state.objects.commit(
        work.state.objects.tree(work.files), [root_commit], "all of it\n", time=work.time + 60
    )


@attack("rewritten-history", start="shipped-thrice")
def a_merge_that_makes_the_branch_the_first_parent_and_loses_a_ship(work: Work) -> None:
    """What a pull into a branch and a push to main leave: main's own commits become the side."""
    state = work.state
    work.fork = work.head = state.labels["bakery-ship"]
    work.files = dict(state.trees[work.fork])
    work.ship(popularity=4)
    lines = f"Manifest: {HOME} sha256:{{{{sha256}}}}\nSupersedes: {HOME} {state.labels['second-ship']}"
    work.commit(f"ship\n\n{lines}")
    work.main = work.commit("Merge branch 'main' of origin", merge=[state.tip])


# innocent


@innocent(prepare=hostile_settings)
def a_ship_in_a_repository_whose_settings_run_commands(work: Work) -> None:
    work.ship(popularity=3)
    work.commit("ship\n\n{{vouch}}")


@innocent(prepare=tagged)
def a_ship_between_tags_named_like_main_and_the_branch(work: Work) -> None:
    work.ship(popularity=3)
    work.commit("ship\n\n{{vouch}}")


@innocent(prepare=borrowing)
def a_ship_that_stands_in_borrowed_objects(work: Work) -> None:
    work.ship(popularity=3)
    work.commit("ship\n\n{{vouch}}")


@innocent(head="ship/--upload-pack=evil")
def a_ship_on_a_branch_named_like_an_option(work: Work) -> None:
    work.ship(popularity=3)
    work.commit("ship\n\n{{vouch}}")


@innocent()
def a_ship_whose_message_is_in_latin_letters_of_old(work: Work) -> None:
    work.ship(popularity=3)
    lines = work.fill("{{vouch}}")
    work.commit("ship", raw=f"ship für den Händler\n\n{lines}\n".encode("latin-1"), fields="encoding ISO-8859-1")


@innocent()
def a_ship_that_is_signed(work: Work) -> None:
    work.ship(popularity=3)
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----"
    work.commit("ship\n\n{{vouch}}", fields=signature)


@innocent()
def a_ship_whose_message_has_Windows_line_ends(work: Work) -> None:  # noqa: N802
    work.ship(popularity=3)
    text = work.fill("ship\n\n{{vouch}}\n").replace("\n", "\r\n")
    work.commit("ship", raw=text.encode())


@innocent(start="adopted")
def the_first_ship_of_an_adopted_repository(work: Work) -> None:
    work.ship(popularity=2)
    work.commit("ship\n\n{{vouch}}")


@innocent()
def a_ship_whose_file_may_be_written_by_a_group(work: Work) -> None:
    work.ship(popularity=3)
    message = work.fill("ship\n\n{{vouch}}")
    work.root = root_with(work, work.state.objects.entries([("100664", "manifest.json", work.files[MANIFEST].oid)]))
    work.main = work.commit(message)
