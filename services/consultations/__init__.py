"""対話: a leader asks, the right desk answers in time, and both see where it stands."""
