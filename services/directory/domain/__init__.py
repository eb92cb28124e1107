"""Decisions of directory: values in, values or a refusal out."""
