"""The audit log as the node uses it: recording, reading, verifying, signing, exporting."""
