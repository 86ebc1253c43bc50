"""`python -m cog.server.http`: servekit's server, started the way Cog's is."""

import sys

from servekit.server.early import exit_on_sigterm

if __name__ == "__main__":
    exit_on_sigterm()  # what is imported next takes a third of a second
    from servekit.server.cog_program import main

    sys.exit(main())
