"""Running CloudFront Functions.

A *realm* is a quickjs-ng context that was made to look like CloudFront's engine and holds one
function. A *worker* is a process full of realms; it runs one call at a time. The *engine* keeps the
workers: it hands them calls ahead of time, one behind the other, takes the time of the one in
front, and kills a worker whose call does not end; the calls behind it go to a new worker and notice
nothing. The *checker* tells what the real engine would refuse, in its words.

`engine.py` is the public face.
"""
