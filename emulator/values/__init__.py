"""The nouns of CloudFront, as frozen values: valid from the moment they exist.

To change one, make another with `dataclasses.replace`.
"""
