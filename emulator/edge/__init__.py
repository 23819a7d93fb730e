"""One request's way through CloudFront, in five nouns.

Site        what is deployed: distributions, their functions, where their origins really are
Viewer      who asks: a connection at a place
Journey     the request's two clocks: simulated time, and the emulator's own work
Edge        delivers: behavior, function, origin, viewer
Delivery    what leaves, at its deadline, and the Trace of how it came about
"""
