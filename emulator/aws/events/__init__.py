"""Amazon EventBridge at the endpoint.

An **event** arrives on a **bus** (`api.py`), is held against the bus's **rules** (`registry.py`,
`rules/event_pattern.py`), and goes to the **targets** of each rule that wants it, shaped
(`rules/event_input.py`). Deliveries never make the caller wait, and no target waits for another
(`delivery.py`); how each kind of target is called stands in `targets.py`.
"""
