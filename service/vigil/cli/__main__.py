"""``python -m vigil.cli``: the command."""

from vigil.cli import main

if __name__ == "__main__":
    main()
