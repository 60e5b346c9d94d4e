"""Faults thrown at the judge: small changes of its own code, each of which a self-test must notice."""
