"""From a spec to an image: what goes in, how it is laid out, and what is known of it."""
