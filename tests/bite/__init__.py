"""The suite bites: real faults, seeded at their own layer, and who caught them. See fault.py."""
