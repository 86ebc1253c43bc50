"""Containers of images: one prediction in one, or a server for as long as the command runs."""
