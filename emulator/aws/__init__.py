"""The one AWS endpoint, where unmodified SDKs find the services we emulate.

    call        one request as a service sees it: raw path, headers, a body that is read on demand
    guard       which hosts and web sites may speak to us at all
    dispatch    which service and operation a request means
    answers     AWS's shapes of success and refusal
    cloudfront/ CloudFront's control API: distributions, functions, policies, invalidations, tags
    lambda_api  Lambda's API: functions for the edge and in their Region
    background  what works behind the viewers' back: events/, sqs/, scheduler/, step_functions/
    in_process  the services for one another, without HTTP
    models      AWS's own service models, read on the first call that needs one
    other_services  every service that we do not emulate: moto's, in this process
    app         all of it as one ASGI application

A service is a callable that takes a call and returns an answer; `app.create_app` joins them.
"""
