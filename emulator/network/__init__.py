"""Distance, latency and connections: everything that a packet would notice.

places     points of presence and Regions, with coordinates
distance   round trips between them: measured ones, and a model for the rest
draws      jitter: seeded draws around a median
latency    the latency model: which stage takes how long
origins    HTTP/1.1 connections to origins
"""
