"""The example backend behind the distribution: answers questions about a team's running services.

It is plain AWS code (boto3, Starlette) and knows nothing of where it runs: with the SDK's own
`AWS_ENDPOINT_URL` set it speaks to whatever listens there, without it to Amazon Bedrock and the
real CloudFront KeyValueStore. Its nouns:

    Session     who asks: a signed cookie, checked here and at the edge by the same key
    Task        what is declared about everything the backend does: class, freshness, owner
    Action      what may be asked (`morning-briefing`), and what the model is told to write
    DataSet     the users, services, alerts, deployments and tickets that answers are made from
    Prompt      what the model gets for one user and one action
    Model       Amazon Bedrock behind two verbs, `complete` and `stream`
    StoreWriter the one writer of a key value store: ETags, conflicts, retries

`python -m origin` serves answers, `python -m origin.session` issues sessions and publishes their
key, `python -m origin.precompute` answers ahead of time and pushes to the edge.
"""
