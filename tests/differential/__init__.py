"""Compares the answers of the fast lane with FastMCP's own, request by request."""
