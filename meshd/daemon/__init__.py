"""Builds every object; starts, reports and stops a mesh."""
