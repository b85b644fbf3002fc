"""meshd: a mesh of MCP agents that you can review in a pull request.

manifests -read-> documents -validate-> MeshSpec -load-> signatures -link-> Plan -apply-> agents

diagnostics  what is wrong, where, and how to fix it
domain       nouns and rules of a mesh; matching of needs and capabilities
manifest     YAML text -> MeshSpec
callables    "package.module:attribute" -> a callable with schemas
plan         MeshSpec + signatures -> Plan
runtime      Plan -> FastMCP servers, injected proxies, calls
daemon       builds every object; starts and stops the mesh
cli          commands and all printing
api          what user code may import, if it wants types
"""

__version__ = "0.1.0"
