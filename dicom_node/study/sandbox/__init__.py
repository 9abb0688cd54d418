"""The processes that decode received files and measure them: they can do nothing else.

The worker starts one template, which loads what decodes and reports. Each study gets a fork of it, which
gives up files, network, programs and privileges (`confinement`) before the worker hands it the first open
file. It puts the strips into shared memory (`pixels`); one process with the networks reads them there and
never a file. Both answer in JSON (`messages`) over a socket (`channel`), and are believed as far as
`validation` goes. Whichever crashes, hangs or breaks a rule is replaced; database and deliveries are the
worker's.
"""
