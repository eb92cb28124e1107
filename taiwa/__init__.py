"""The command ``taiwa``: an installation on one machine, its operation and its demo."""
