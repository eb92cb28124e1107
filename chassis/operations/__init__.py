"""What an operator sees and does while a service runs: dead letters, stops, lag, late timers; and the record of it.

Every function works on a connection of the worker role. Its scope decides whose it is: a municipality's administrator
sees and touches that municipality's rows only, by row-level security; letters whose municipality cannot be read are in
no municipality's scope and belong to the installation's operator.

``letters``    open dead letters: list, show, replay, discard
``stops``      consumers, partitions and keys that stand still: list, resume
``standing``   what waits longer than it should
``difference`` a payload against the schema of its type
``acts``       who did what, when and why; it is only ever added to

Proven by ``tests/integration/chassis/test_operations.py``.
"""
