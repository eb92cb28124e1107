"""The events of taiwa, for everybody who reads or publishes them."""
