"""Ratios against a bare ASGI app in the same run; timing never decides a test."""
