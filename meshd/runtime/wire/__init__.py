"""HTTP/1.1 as calls need it: pooled connections that carry one POST at a time.

`address` and `request` are pure; `connection` speaks over one socket, `pool` owns all of them. It
knows nothing of MCP. What goes wrong is one of `failures`, which tell whether a request may have
reached the server. Redirects, cookies, proxies and compression are not spoken.
"""
