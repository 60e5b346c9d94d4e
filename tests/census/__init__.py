"""The A/A census: the clean suite judged over and over; each alarm would be a false one. See __main__.py."""
