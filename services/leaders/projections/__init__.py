"""Copies of directory's facts as dated periods. Set-based, rebuildable; no emit, no timer, no sending."""
