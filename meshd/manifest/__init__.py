"""YAML text to a MeshSpec: read, validate, fold defaults; imports no user code."""
