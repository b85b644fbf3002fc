"""Where a registry keeps what must survive it."""
