"""Bad input: hand-picked tables and seeded generators, for topics and for HTTP, each case with what it must become.

``record_tables.py`` and ``request_tables.py`` hold the hand-picked cases, bytes written as they travel; good ones stand
among them as controls. ``record_mutations.py`` and ``request_mutations.py`` make any number more from real samples; the
same seed makes the same bytes. ``python -m tests.corpus`` runs as many as wanted against a real PostgreSQL and Kafka.
"""
