"""``python -m taiwa`` is the command ``taiwa``."""

from taiwa.cli import main

main()
