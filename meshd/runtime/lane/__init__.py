"""Answers plain `tools/call` requests in front of FastMCP, and hands on everything else."""
