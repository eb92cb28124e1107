"""The installation without containers: PostgreSQL and Kafka from packages, services under a supervisor."""
