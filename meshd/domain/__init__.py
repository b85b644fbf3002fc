"""Nouns and rules of a mesh: frozen values and pure functions; the time is always an argument."""
