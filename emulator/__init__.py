"""localpop: CloudFront's edge, on localhost.

The rooms, top to bottom; a room imports only rooms below it (`make layers` proves it):

    cli          reads the command
    app          builds every object once and joins them
    viewer       the viewers' HTTP listener
    aws          the one AWS endpoint that boto3 speaks to
    dashboard    a window that only reads
    project      the template and localpop.toml, turned into values once
    edge         one request's way through a point of presence
    stores       key value stores, durable and in memory
    runtimes     running function code
    network      distance, latency, origin connections
    wire         AWS's JSON and XML in and out, spelled as AWS spells it
    rules        CloudFront's laws, pure
    values       the nouns, frozen
    clock        time and chance as arguments
    errors       who can mend what
    quotas       AWS's numbers, each with page and date
"""
