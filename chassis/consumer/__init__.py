"""The consumer: from Kafka into a service's own projections and reactions, exactly once."""

from chassis.consumer.loop import Consumer

__all__ = ["Consumer"]
