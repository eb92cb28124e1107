"""SQL of the write side. Rows are locked when loaded, in the order of their ids, and saved by version."""
