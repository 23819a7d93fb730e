"""Amazon SQS at the endpoint: the API, and the event source mappings that feed Lambda from it.

Queues and messages are in memory. What was made through the API is kept in the account; messages
are written there when localpop ends in order, and are there again at the next start. A kill loses
messages, never queues.
"""
