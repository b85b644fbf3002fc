"""`module:qualname` to a callable with schemas: the only package that imports user code."""
