"""Texts that servekit writes for its users."""
