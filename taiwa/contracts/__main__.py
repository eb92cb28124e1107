"""``python -m taiwa.contracts check|export|freeze``, from the repository's root; needs no other part of the product."""

from __future__ import annotations

import sys
from pathlib import Path

from taiwa import contracts


def main(verb: str, root: Path) -> int:
    """Do one verb; 0 when all is well, 1 with the problems on standard error, 2 for an unknown verb."""
    if verb == "export":
        for path in contracts.export(root):
            sys.stdout.write(f"{path.relative_to(root)}\n")
        return 0
    if verb == "freeze":
        sys.stdout.write(f"{contracts.freeze(root).relative_to(root)}\n")
        return 0
    if verb == "check":
        problems = contracts.check(root)
        sys.stderr.writelines(f"{problem}\n" for problem in problems)
        return 1 if problems else 0
    sys.stderr.write("usage: python -m taiwa.contracts check|export|freeze\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]), Path.cwd()))
