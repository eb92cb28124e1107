"""leaders: the yearly call, nominations, decisions, appointments as period records, deputies, coverage."""
