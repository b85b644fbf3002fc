"""The instances that this process serves: user code wired, answering, and in the registry.

The one way to serve an agent, for a process of the daemon, for `meshd agent run`, and for
`--in-process`. Start: build the FastMCP servers, start the HTTP servers, start the heartbeats.
"""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from meshd.callables.agent import LoadedAgent
from meshd.callables.failures import summary, users_traceback
from meshd.clock import Clock
from meshd.daemon.messages import EdgeView, Post, ProviderView, Registered, Report, Wired
from meshd.daemon.wiring import edges_of, parts_of, plan_of
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import AgentSpec
from meshd.errors import InvalidInput, LifespanFailed
from meshd.runtime.agent import RunningAgent
from meshd.runtime.client import McpClient
from meshd.runtime.heartbeat import Heartbeat, RegistryState
from meshd.runtime.membership import Membership
from meshd.runtime.registry_client import RegistryClient
from meshd.runtime.workers import Workers

SETTLE_SECONDS = 5.0
"""How long a call waits for the first word of the registry."""
GC_THRESHOLDS = (10_000, 2, 50)
"""Fewer collections than Python's default; with the heap frozen after start, each is short."""
