"""The relay, from event log to Kafka: ``window`` decides, ``log`` reads, ``publisher`` sends, ``loop`` runs."""

from chassis.relay.loop import Relay

__all__ = ["Relay"]
