"""House rules as small checks whose message tells the fix; ``python -m tests.architecture`` runs them all."""
