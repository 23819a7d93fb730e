"""A load test of answers at the edge: it knows a URL and response headers, nothing else.

The words of this room:

- **path**: which way an answer came, told by response headers alone (`samples.DeliveryPath`).
- **profile**: the load over time, and the mix of places, paths and actions (`profiles.py`).
- **place**: where a viewer is, as `NRT/fibre` (point of presence / access type).
- **arrival**: the moment a viewer *means* to ask. Arrivals are open-loop: they follow a schedule
  of their own and never wait for an answer, so a server that freezes is seen by all who come.
- **lag**: by how much the load generator itself sent a request late. A run that lags is void.
- **sample**: one request, exact. Everything reported is computed from samples, never from buckets.
- **cell**: the samples of one path at one place.
- **driver**: one greenlet that lets viewers arrive; what Locust calls a user.
- **baseline**: the runs of the same load in the last days, which a run is compared with.

Only `locustfile.py` imports Locust (importing it patches sockets for the whole process); `python -m
loadtests` runs it in a process of its own and turns its samples into a table and a page.
"""
