"""Running other people's code, each in a process of its own that can be killed."""
