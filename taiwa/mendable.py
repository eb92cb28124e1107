"""The one error a person at the terminal sees: what is wrong and what mends it."""

from __future__ import annotations


class Mendable(Exception):  # noqa: N818 - it names what it is for the reader: something a person can mend
    """Something on this machine stands in the way.

    Args:
        problem: one sentence that states the fact.
        mend: what to do or run now; shown on its own line.
    """

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem}\n{mend}")
        self.problem = problem
        self.mend = mend
