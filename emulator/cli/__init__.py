"""Reads the command."""
