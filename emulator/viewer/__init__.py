"""The viewers' front door: HTTP/1.1 as on the wire, over httptools, run by uvicorn.

A protocol class of its own instead of ASGI for three reasons: header names and their order stay as
the viewer wrote them, malformed requests get CloudFront's own refusals, and it costs a quarter of
the CPU (facts/engines.md section 4).
"""
