"""HTTP/1.1 as calls need it: pooled connections that carry one POST at a time.

`address` and `request` are pure; a `connection` is one socket, an `exchange` one request on it, and
`pool` owns all connections. Nothing here knows MCP. What goes wrong is one of `failures`, which
tell whether a request may have reached the server. Redirects, cookies, proxies and compression are
not spoken.
"""
