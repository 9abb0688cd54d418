"""What every process of the node needs: logs, stop signal, locks."""
