"""How long the long tests run: ECHONODE_TEST_SCALE multiplies their rounds, cases and objects."""

import os

SCALE = int(os.environ.get("ECHONODE_TEST_SCALE", "1"))
