"""Programmes and their completions: what leaders learnt, recorded by 総務課 or 総合政策課."""
