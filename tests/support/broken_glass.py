"""A shop whose glass may be broken: three ships, synced, and a key that may sign claims."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from shop import GROCER, Shop, git, popularity

from pointsman.outcome import Outcome
from pointsman.serving.claims import claim_key
from pointsman.state.claim import NAMESPACE, Claim, read_claim
from pointsman.verbs import break_glass

SETTINGS = '[audit]\nallowed_signers = "allowed_signers"\n'


def shipped(root: Path) -> Shop:
    """Three ships, synced, and a key that may sign claims."""
    shop = Shop(root, SETTINGS)
    let_ann_sign(shop)
    for day in (1, 2, 3):
        shop.publish(popularity(root / f"p{day}.json", 10 + day, day=day), merge=True)
        shop.sync()
    return shop


def let_ann_sign(shop: Shop) -> None:
    """Two keys, of which one may sign claims."""
    for name in ("ann", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", shop.root / name], check=True)
    public = (shop.root / "ann.pub").read_text().split()
    (shop.desk / "allowed_signers").write_text(f'ann@example.org namespaces="{NAMESPACE}" {public[0]} {public[1]}\n')
    shop.push("signers")


def manifests(shop: Shop) -> list[bytes]:
    """What the ships made, newest first."""
    commits = git(shop.origin, "log", "--format=%H", "main", "--", GROCER.manifest_path).splitlines()
    return [git(shop.origin, "show", f"{each}:{GROCER.manifest_path}").encode() + b"\n" for each in commits]


def below(shop: Shop, key: str) -> Path:
    return shop.store / "registry" / "current" / key


def claim_of(shop: Shop) -> Claim | None:
    path = below(shop, claim_key(GROCER))
    return read_claim(path.read_bytes(), GROCER) if path.exists() else None


def break_it(shop: Shop, *, signed: bool = True, **more: Any) -> Outcome[Any]:
    """Break-glass as its command runs it, in the desk."""
    key = str(shop.root / "ann") if signed else None
    request = break_glass.Request(GROCER, "the day is broken", **{"key": key, **more})
    return break_glass.break_glass(shop.desk, request, tell=lambda line: None)


def outcome_of(outcome: Outcome[Any]) -> str:
    (target,) = outcome.document["targets"]
    return str(target["outcome"])
