"""The messaging core under a seeded scheduler: the product's own code on a simulated PostgreSQL, Kafka and clock.

| module | is |
| --- | --- |
| ``loop`` | an event loop whose time is computed |
| ``processes`` | what is killed and stopped |
| ``postgres``, ``statements`` | snapshots, locks, crashes; what each statement of the product does |
| ``kafka`` | partitions, groups, clients; truncation, compaction, other logs |
| ``world`` | two services on them, and what of the outside is replaced |
| ``schedule`` | load and faults of one seed |
| ``operators`` | does what the product says is to be done |
| ``judge`` | the invariants |
| ``postgres_contract``, ``kafka_contract`` | what the fakes have in common with the real ones |

``make simulate ARGS='--schedules 100000 --seed 7'`` runs any number; ``--trace SEED`` tells one step by step.
"""
