"""Imports everything that the processes of a mesh need, once, in the fork server.

Besides what meshd imports itself, that is what libraries import when they are first used: found in
each process anew it would cost half of its start, and memory that processes could share.
"""

# ruff: noqa: F401
# pyright: reportUnusedImport=false
import anyio._backends._asyncio
import httpcore2
import uvicorn.lifespan.off
import uvicorn.protocols.http.httptools_impl

import meshd.daemon.process
