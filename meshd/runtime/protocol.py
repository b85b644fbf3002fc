"""Names on the wire that both ends of a call use: MCP's, and those that meshd adds to it.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

MCP_PATH = "/mcp"
MODERN_VERSION = "2026-07-28"
"""The first revision whose requests stand alone."""

_META = "io.modelcontextprotocol/"
PROTOCOL_VERSION = _META + "protocolVersion"
CLIENT_CAPABILITIES = _META + "clientCapabilities"
CLIENT_INFO = _META + "clientInfo"
LOG_LEVEL = _META + "logLevel"
SERVER_INFO = _META + "serverInfo"

CHUNKS = "meshd.dev/chunks"
"""Under this name a request's `_meta` says in which form its caller wants chunks."""
CHUNK = "meshd.dev/chunk"
"""Under this name a notification's `_meta` says in which form its chunk is."""
ERROR = "meshd.dev/error"
"""Under this name an error's `_meta` says which kind it is of, for callers that are meshd too."""

TIMEOUT = "Meshd-Timeout"
"""The header with the seconds that are left for the call, with decimals."""
MCP_MESH_TIMEOUT = "X-Mesh-Timeout"
"""The same in whole seconds, at least 1, as MCP Mesh's agents say it."""
