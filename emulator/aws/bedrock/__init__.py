"""The stand-in for a language model: which models there are, what they write, how fast.

Nothing here understands anything. A seeded generator puts the prompt's own facts into plausible
sentences, and a speed model lets them arrive as slowly as a real model's would.
"""
