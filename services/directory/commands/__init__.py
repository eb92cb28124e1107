"""Use cases of directory: load, decide, save, emit.

For the command line: :func:`services.directory.commands.administrators.create_admin` registers a town with its first
administrator and gives a one-time link.
"""
