"""`python -m servekit.server --spec DIR`: what runs in a container."""

import sys

from servekit.server.early import exit_on_sigterm

if __name__ == "__main__":
    exit_on_sigterm()  # what is imported next takes a third of a second
    from servekit.server.program import main

    sys.exit(main())
