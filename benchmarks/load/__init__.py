"""The load: what is sent, and how every answer is checked."""
