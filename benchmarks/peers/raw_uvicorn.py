"""A bare ASGI application that runs the predictor in the server's own process."""

from benchmarks.peers.asgi import make_app, serve
from benchmarks.peers.common import read_options
from benchmarks.peers.engine import Engine

if __name__ == "__main__":
    options = read_options()
    serve(make_app(Engine(), options.limit), options.port)
