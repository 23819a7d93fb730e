"""The project on disk, turned into values once; nothing further in sees raw input.

documents    YAML and JSON as CloudFormation writes them
intrinsics   Ref, GetAtt, Sub and their kin, resolved
template     resources, as declarations
local        localpop.toml
load         all of it together: a Project
"""
