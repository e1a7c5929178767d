"""`python -m runner` is `compare`."""

from runner.cli import main

main()
