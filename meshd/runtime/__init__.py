"""A Plan to running agents: FastMCP servers, injected proxies, calls."""
