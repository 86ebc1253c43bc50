"""The command line of servekit."""
