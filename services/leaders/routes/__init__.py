"""HTTP of ``leaders``: parse, authorise by role, call, map. Finer authorisation is decided by the domain."""
