"""Planning trips: plain functions about places, the sun, the climate and notes.

Nothing here knows of MCP or of meshd: the manifests beside this folder name these functions, and
what a function needs of another agent comes in as a callable parameter.
"""
