"""Use cases, one a file: load, decide, save, emit.

| fact | emitted in |
| --- | --- |
| NominationRequested | ``open_call`` (first), ``remind`` (again), ``ask_head`` (another head) |
| LeaderNominated | ``nominate`` |
| NominationRejected | ``send_back`` |
| LeaderAppointed | ``appoint`` |
| AppointmentCorrected | ``correct`` |
| LeaderTermEnded, LeaderTermExtended | ``end_term`` |
| DeputyNamed, DeputyEnded | ``deputy`` |
| CoverageLost, CoverageRestored | ``review_coverage`` |
"""
