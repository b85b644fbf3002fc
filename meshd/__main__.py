"""`python -m meshd` is `meshd`."""

from meshd.cli.app import main

if __name__ == "__main__":
    main()
