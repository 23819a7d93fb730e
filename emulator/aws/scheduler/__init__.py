"""Amazon EventBridge Scheduler, and the clock that it shares with the scheduled rules of buses.

`runner.py` knows when something is due, `api.py` is the service. The schedules' clock can be moved
forward (`localpop clock +6h`): what is due on the way fires at once, in order.
"""
