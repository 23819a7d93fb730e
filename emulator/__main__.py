"""`python -m emulator`: the command, for an IDE that wants a module to start."""

from emulator.cli.main import main

if __name__ == "__main__":
    main()
