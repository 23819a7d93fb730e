"""A window that only reads: the latest traces, each page with a `.json` twin."""
