"""From landmarks to values, and the rules that accept or refuse them; no torch, no pydicom."""
