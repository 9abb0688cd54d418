"""`echonode demo`: the whole way once, on one machine, with nothing prepared."""
