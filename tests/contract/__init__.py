"""What the contracts promise, checked."""
