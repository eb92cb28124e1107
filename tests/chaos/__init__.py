"""The nemesis: everything that may fail does, under load, on real parts; an offline checker says what was lost.

``python -m tests.chaos --help``, or ``make chaos ARGS='--minutes 60 --seed 7'``.
"""
