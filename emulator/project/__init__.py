"""The project on disk, turned into values once; nothing further in sees raw input.

Read in this order, each file on top of the ones above it:

documents      YAML and JSON, as CloudFormation writes them
api_shapes     the API's form turned into CloudFormation's
sam            SAM templates, expanded by AWS's own translator
stacks         where templates come from: files, cdk.out, get-distribution-config
intrinsics     Ref, GetAtt, Sub and their kin, resolved; what cannot be, stands as `Unresolved`
reading        values checked where they are read; every mistake noted, none ends the reading
local          localpop.toml, and its `Answers` to what only AWS knows
resources      one stack's resources: what Ref and GetAtt answer, where code is
policies       policies, and the ForwardedValues before them
account        what stacks share: exports, the parameter store, policies and keys by id
distributions  a DistributionConfig
code           functions, stores, and their code
not_emulated   the one table of what the edge cannot do
template       all of it together: `inspect_templates`, `read_template`
made_by_api    the same values from what was made through the AWS endpoint
"""
