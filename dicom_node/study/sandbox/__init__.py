"""The analysis process: a child of the worker that holds the networks and decodes the received files.

It has limits of time and memory. If a malformed file makes it crash or hang, the worker, with database,
files and deliveries, goes on and starts another one.
"""
