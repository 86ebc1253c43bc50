"""Sending the files of outputs to a receiver by HTTP PUT, from the worker that has them.

target      where they go, and under what URL each
put         one request
upload      one file: redirects, further tries, its deadline
outputs     the files of one prediction's outputs, and their URLs in the JSON
"""
