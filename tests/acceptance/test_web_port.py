"""The web port of a whole node, and a node without its web port."""

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

from support.node import PATIENCE_S, free_port, process_node, wait_for


def healthz(port: int) -> dict[str, str]:
    """Return the checks of /healthz; none while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return dict(json.load(answer)["checks"])
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.load(error)["checks"])
    except OSError:
        return {}


def test_a_busy_web_port_does_not_keep_the_node_from_receiving(tmp_path: Path) -> None:
    """It receives and audits the trouble; once the port is free it tells its health, worker included."""
    node, port = process_node(tmp_path), free_port()
    with node.config.open("a") as config:
        config.write(f"\n[web]\nport = {port}\n")
    with socket.create_server(("127.0.0.1", port)):
        supervisor = node.start_command("serve")
        node.wait_until_listening()
        (event,) = wait_for(lambda: node.events("web.cannot_listen"), "the trouble is audited")
        assert event.outcome == "failure"

    wait_for(lambda: set(healthz(port).values()) == {"ok"}, "all is well", limit_s=2 * PATIENCE_S)
    supervisor.terminate()
    assert supervisor.wait(timeout=PATIENCE_S) == 0
    node.close()
