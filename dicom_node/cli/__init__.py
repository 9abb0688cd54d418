"""The commands and their options; their bodies are in the other rooms."""
