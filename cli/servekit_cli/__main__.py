"""`python -m servekit_cli` is `servekit`."""

from servekit_cli.main import main

main()
