"""Arithmetic from landmarks to centimetres, and when to say nothing: no torch, no pydicom."""
