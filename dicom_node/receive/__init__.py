"""Reception of instances: from the TCP connection to the stored file and its row."""
