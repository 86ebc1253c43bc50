"""cog.yaml, read and checked by Cog's rules, and said in the words of servekit.yaml.

Source:
    Cog's reference of cog.yaml, and what its command line accepts where the two differ.
"""
