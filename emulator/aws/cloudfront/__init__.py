"""CloudFront's control API: what makes a distribution, and everything that it refers to.

    control_plane   what all of its parts share: the account, ids, ETags, pages, refusals
    distributions   distributions, and what they may not be
    functions       CloudFront Functions with their two stages, and TestFunction
    policies        cache, origin request and response headers policies, origin access controls,
                    public keys and key groups
    invalidations   invalidations
    tags            tags of anything with an ARN
    api             all of it behind the endpoint, by CloudFront's own model

What a template declares can be read here and not changed.
"""
