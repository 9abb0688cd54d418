"""The processes that decode received files and measure them: they can do nothing else.

The worker starts one template, which loads the networks and reads no file. Each study gets a fork of it,
which gives up files, network, programs and privileges (`confinement`) before the worker hands it the first
open file. It answers in JSON (`messages`) over a socket (`channel`), and is believed as far as `validation`
goes. If it crashes, hangs or breaks a rule, it is replaced; database and deliveries are the worker's.
"""
