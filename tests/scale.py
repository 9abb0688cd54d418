"""How long the long tests run: TEST_SCALE multiplies their rounds, cases and objects."""

import os

SCALE = int(os.environ.get("TEST_SCALE", "1"))
