"""The same HTTP requests to Cog's own server and to servekit's, over the same project files."""
