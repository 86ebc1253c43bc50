"""What makes a project that was written for another tool run as it is.

cog           the Python SDK of Cog, as far as a predictor's code sees it
import_path   put on `sys.path` for a Cog project, and for no other: there `import cog` finds `cog`
importing     puts it there, and takes it away again
reading       the signature of a Cog predictor in servekit's terms
version       which Cog that is
predictor     which class and method of a module is the Cog predictor
"""
