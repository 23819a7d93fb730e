"""Amazon SQS at the endpoint: the API, and the event source mappings that feed Lambda from it.

Queues made through the API are kept in the account, messages in a journal beside it: neither a
restart nor a kill loses one.
"""
