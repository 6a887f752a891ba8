"""The attack campaign: every row of tests/security against the running processes, and the page that tells of them."""
