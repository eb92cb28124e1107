"""One successful request for every operation of every service: the list that tenancy and OpenAPI tests go by."""

from tests.integration.operations import consultations, directory, leaders, notifications, trainings
from tests.integration.operations.walk import Step, Walk, World

WALKS: tuple[Walk, ...] = (directory.WALK, leaders.WALK, trainings.WALK, consultations.WALK, notifications.WALK)

__all__ = ["WALKS", "Step", "Walk", "World"]
