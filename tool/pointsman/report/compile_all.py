"""`python -m pointsman.report.compile_all`: compile the package, modules and pages, as pip does for what it installs.

Where `PYTHONDONTWRITEBYTECODE` is set, as in many containers, nothing else does, and a command takes twice as long.
"""

from __future__ import annotations

import compileall
import sys
from pathlib import Path

from pointsman.report.html import template

_PACKAGE = Path(__file__).parent.parent


def main() -> None:
    """Keep what was compiled where Python keeps it."""
    sys.dont_write_bytecode = False
    compileall.compile_dir(_PACKAGE, quiet=1)
    for path in (_PACKAGE / "templates").glob("*.html"):
        template(path.name)


if __name__ == "__main__":
    main()
