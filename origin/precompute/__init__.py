"""Answering ahead of time: generate, check, push to the edge.

    contract    what an answer promises, and when it is stale
    artifact    an answer's full form, and its compact form in the store: key, JSON, quota
    generation  one user's answers, all prompts at once; knows nothing of the store
    push        many users: generation side by side, one `UpdateKeys` for each user, one writer
    progress    what the terminal shows

and, in the background, once answers come by events:

    messages    what lies on the queue of writes
    writer      the single writer: queue -> registry, S3, one atomic `UpdateKeys`
    registry    what is in the store and why (DynamoDB)
    invalidator a state change -> deletes of exactly what names it
    watch       broken contracts, expired answers
    wiring      the Lambda functions' objects, from their environment

`generation` fits into a Lambda function as it is, `push` into whatever writes for many.
"""
