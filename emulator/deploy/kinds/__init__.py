"""How each type of resource is read, made, changed and deleted at AWS, with boto3.

Every call is one that AWS documents for its type, with If-Match wherever AWS takes it:
what somebody else changed in between is refused by AWS, not overwritten.
"""
