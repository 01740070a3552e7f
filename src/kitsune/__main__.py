"""The `kitsune` command."""

from kitsune.cli.main import main

if __name__ == "__main__":
    main()
